-- Begin to discard a partition's state: from now on until `discard_end` nobody owns it (see takeover.lua).
-- KEYS[1] meta.  Answers the epoch, which the next steps name: a second one that begins ends this one.
redis.call('HSET', KEYS[1], 'owner', '', 'discarding', '1')
return redis.call('HINCRBY', KEYS[1], 'epoch', 1)
