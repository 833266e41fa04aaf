-- Take a partition's deliveries over, if nobody has them; an older owner's writes are refused from then on.
-- KEYS: 1 deliveries, 2 cursors.  ARGV: owner, lease in ms, by how much to raise the epoch.
-- Answers {'held', owner, how many ms its lease still runs}, or {'taken', epoch, last write, {target, cursor, ...}}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local has = redis.call('HMGET', KEYS[1], 'owner', 'until', 'write')
local left = tonumber(has[2] or '0') - now
if has[1] and has[1] ~= '' and has[1] ~= ARGV[1] and left > 0 then return {'held', has[1], left} end
local epoch = redis.call('HINCRBY', KEYS[1], 'epoch', ARGV[3])
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'until', string.format('%.0f', now + tonumber(ARGV[2])))
return {'taken', epoch, has[3] or '0', redis.call('HGETALL', KEYS[2])}
