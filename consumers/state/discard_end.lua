-- Discard what is left of a partition's state, and let it be filled from the log anew.
-- KEYS: 1 meta, 2 judged, then every other key of the state.  ARGV[1]: epoch.
-- What stays: the epoch, which only grows, and who may still have a transaction open. Where transitions are published,
-- commits number from 0 again, by which the relay sees that what it finds in the topic comes again; where they are not,
-- they number on, so that positions in the feed do not wait for numbers to come round.
-- Answers '', or why nothing was discarded.
local has = redis.call('HMGET', KEYS[1], 'epoch', 'relays', 'relayed', 'commit')
local epoch, relays, commit = has[1] or '0', has[2] or '', has[4] or '0'
if epoch ~= ARGV[1] then return 'epoch ' .. epoch .. ' owns the partition, not ' .. ARGV[1] end
if redis.call('EXISTS', KEYS[2]) == 1 then return 'there are customers left' end
redis.call('UNLINK', unpack(KEYS))
if relays ~= '' or (has[3] or '') ~= '' then commit = '0' end
redis.call('HSET', KEYS[1], 'epoch', epoch, 'relays', relays, 'commit', commit, 'shown', commit, 'rebuild', '1')
return ''
