-- Replace one subscription if it is still what the caller read.
-- KEYS: 1 the entries, 2 the revision, 3 since when each fails.
-- ARGV: id, the entry read ('' for none), the new one ('' to delete it), how many there may be ('' any),
--   '1' to forget since when it fails.
-- Answers 'ok', 'moved' (the entry changed), 'full'.
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 'moved' end
if ARGV[2] == '' and ARGV[4] ~= '' and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then return 'full' end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
if ARGV[3] == '' or ARGV[5] == '1' then redis.call('HDEL', KEYS[3], ARGV[1]) end
redis.call('INCR', KEYS[2])
return 'ok'
