-- Give a partition back: the next owner need not wait for the lease.
-- KEYS[1] meta.  ARGV[1] epoch.
if redis.call('HGET', KEYS[1], 'epoch') == ARGV[1] then redis.call('HSET', KEYS[1], 'owner', '') end
return 1
