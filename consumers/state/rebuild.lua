-- Allow an empty partition to be filled from the log, though its transitions may have been published already.
-- KEYS[1] meta.  Answers '', or why not.
local has = redis.call('HMGET', KEYS[1], 'commit', 'rebuild', 'discarding')
if has[3] then return 'its state is being discarded' end
if (has[1] or '0') ~= '0' and has[2] ~= '1' then return 'it has a state' end
redis.call('HSET', KEYS[1], 'rebuild', '1')
return ''
