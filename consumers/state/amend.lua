-- Change fields of a partition's meta, if this relay's process still owns it.
-- KEYS[1] meta.  ARGV: epoch, the relay's transactional id, the last commit ('7' this one, '>7' it or a later one,
--   '' not asked), then field, value, ...
-- (After a roll-back of the store two owners may hold the same epoch: only the later one's id is in `relays`.)
-- Answers '', or why nothing was changed.
local has = redis.call('HMGET', KEYS[1], 'epoch', 'relays', 'commit')
if has[1] ~= ARGV[1] then return 'epoch ' .. (has[1] or '0') .. ' owns the partition, not ' .. ARGV[1] end
if not (' ' .. (has[2] or '') .. ' '):find(' ' .. ARGV[2] .. ' ', 1, true) then return 'another relay publishes it' end
local later = ARGV[3]:match('^>(%d+)$')
local fits = ARGV[3] == '' or (has[3] or '0') == ARGV[3]
if later then fits = tonumber(has[3] or '0') >= tonumber(later) end
if not fits then
  return 'commit ' .. (has[3] or '0') .. ' is the last, not ' .. ARGV[3]
end
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
return ''
