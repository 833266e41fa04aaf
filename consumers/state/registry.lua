-- Replace one segment's entry if it is still what the caller read.
-- KEYS: 1 the entries, 2 the revision, 3 the segment's edits.  ARGV: segment, the entry read ('' for none), the new
--   one, the revision it was checked against ('' for any), '1' to count this as a change, what to note among the edits
--   ('' for nothing), how many edits to keep.
-- Answers 'ok', 'moved' (the entry changed), 'revision' (another segment did).
if (redis.call('GET', KEYS[2]) or '0') ~= ARGV[4] and ARGV[4] ~= '' then return 'revision' end
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 'moved' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
if ARGV[5] == '1' then redis.call('INCR', KEYS[2]) end
if ARGV[6] ~= '' then redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[7], '*', 'e', ARGV[6]) end
return 'ok'
