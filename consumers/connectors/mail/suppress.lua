-- Put an address on the list of those who get no mail.
-- KEYS: 1 the list (hash of an address -> "<why> <since ms>[ told]").
-- ARGV: 1 the address's hash, 2 why ('unsubscribed' or 'bounced'), 3 now (ms).
-- Answers the entry that stands: that one unsubscribed is never replaced, a bounce only by that.
local old = redis.call('HGET', KEYS[1], ARGV[1])
if old and (ARGV[2] ~= 'unsubscribed' or string.sub(old, 1, 12) == 'unsubscribed') then return old end
local new = ARGV[2] .. ' ' .. ARGV[3]
redis.call('HSET', KEYS[1], ARGV[1], new)
return new
