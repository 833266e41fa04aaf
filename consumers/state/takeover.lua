-- Become a partition's owner: raises the epoch, so that an older owner's commits are refused.
-- KEYS[1] meta.  ARGV: owner, lease in ms, '1' to take it from a living owner too, the relay's transactional id ('': none),
--   by how much to raise the epoch.
-- Answers {'held', owner} while another owner is alive, else {'taken', all of meta}.
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local has = redis.call('HMGET', KEYS[1], 'owner', 'seen', 'relays', 'discarding')
if has[4] then return {'held', 'a rebuild that discards its state (if it was interrupted: begin it again)'} end
local alive = has[1] and has[1] ~= '' and now_ms - tonumber(has[2] or '0') < tonumber(ARGV[2])
if alive and has[1] ~= ARGV[1] and ARGV[3] ~= '1' then return {'held', has[1]} end
redis.call('HINCRBY', KEYS[1], 'epoch', ARGV[5])
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'seen', string.format('%.0f', now_ms), 'trouble', '')
local relays = has[3] or ''
if ARGV[4] ~= '' and not (' ' .. relays .. ' '):find(' ' .. ARGV[4] .. ' ', 1, true) then
  redis.call('HSET', KEYS[1], 'relays', relays == '' and ARGV[4] or relays .. ' ' .. ARGV[4])
end
return {'taken', redis.call('HGETALL', KEYS[1])}
