-- Discard some customers' profiles.
-- KEYS: 1 meta, 2 judged, then the profiles.  ARGV: epoch, then the same customers as `judged` has them.
-- Answers '', or why nothing was discarded.
local epoch = redis.call('HGET', KEYS[1], 'epoch') or '0'
if epoch ~= ARGV[1] then return 'epoch ' .. epoch .. ' owns the partition, not ' .. ARGV[1] end
redis.call('UNLINK', unpack(KEYS, 3))
redis.call('ZREM', KEYS[2], unpack(ARGV, 2))
return ''
