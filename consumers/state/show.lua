-- Show a durable commit to the readers of the feed, and say that the owner is alive.
-- KEYS[1] meta.  ARGV: epoch, commit ('' only says alive), the channel, the partition.
-- (The owner shows a commit before it writes the next, so the position is that commit's.)
-- Answers 1, or 0 when another epoch owns the partition.
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 0 end
local now = redis.call('TIME')
redis.call('HSET', KEYS[1], 'seen', string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000)))
if ARGV[2] ~= '' and tonumber(redis.call('HGET', KEYS[1], 'shown') or '0') < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'shown', ARGV[2], 'shown_position', redis.call('HGET', KEYS[1], 'position') or '-1')
  redis.call('PUBLISH', ARGV[3], ARGV[4])
end
return 1
