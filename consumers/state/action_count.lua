-- Count a call of an action about one customer, if its limit lets it.
-- KEYS[1] the calls counted.  ARGV: the call's key, its instant, since when calls count, for how long to keep them (ms),
--   how many there may be.
-- Answers 1 (counted, now or before), 0 (as many as may be).
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 1 end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[5]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
