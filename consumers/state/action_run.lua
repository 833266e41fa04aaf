-- Note that a run has begun.
-- KEYS[1] the newest run of each action.  ARGV: the action, the run's instant (ms).
local last = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0')
if tonumber(ARGV[2]) > last then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
return 1
