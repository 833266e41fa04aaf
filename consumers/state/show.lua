-- Show a durable commit to the readers of the feed, and say that the owner is alive.
-- KEYS[1] meta.  ARGV: epoch, the owner's last commit, the channel, the partition, the owner's trouble ('' for none).
-- (The owner shows a commit before it writes the next, so the position is that commit's.)
-- Answers '', or why the owner must load the partition again.
local has = redis.call('HMGET', KEYS[1], 'epoch', 'commit', 'shown', 'trouble')
if has[1] ~= ARGV[1] then return 'epoch ' .. (has[1] or '0') .. ' owns the partition, not ' .. ARGV[1] end
if (has[2] or '0') ~= ARGV[2] then return 'commit ' .. (has[2] or '0') .. ' is the last, not ' .. ARGV[2] end
local now = redis.call('TIME')
redis.call('HSET', KEYS[1], 'seen', string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000)))
if (has[4] or '') ~= ARGV[5] then redis.call('HSET', KEYS[1], 'trouble', ARGV[5]) end
if tonumber(has[3] or '0') < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'shown', ARGV[2], 'shown_position', redis.call('HGET', KEYS[1], 'position') or '-1')
  redis.call('PUBLISH', ARGV[3], ARGV[4])
end
return ''
