-- A page of one partition's members, newest first (ties: the greater customer first), from a cursor, whoever has left.
-- KEYS: 1 the members zset, 2 meta.  ARGV: limit, and the cursor's since and customer ('' '' from the top).
-- Answers {commit, numbered, {customer, since, ...}}: the page is as of that commit.
local limit = tonumber(ARGV[1])
local function not_less(a, b) -- by bytes, as the index orders; Lua's own comparison follows the server's locale
  for i = 1, math.min(#a, #b) do
    local x, y = a:byte(i), b:byte(i)
    if x ~= y then return x > y end
  end
  return #a >= #b
end
local from = 0
if ARGV[2] ~= '' then
  -- How many come before the cursor, itself included: by bisection, for it may be gone.
  local since, customer = tonumber(ARGV[2]), ARGV[3]
  local low, high = 0, redis.call('ZCARD', KEYS[1])
  while low < high do
    local middle = math.floor((low + high) / 2)
    local there = redis.call('ZRANGE', KEYS[1], middle, middle, 'REV', 'WITHSCORES')
    local score = tonumber(there[2])
    if score > since or (score == since and not_less(there[1], customer)) then low = middle + 1 else high = middle end
  end
  from = low
end
local meta = redis.call('HMGET', KEYS[2], 'commit', 'numbered')
return {meta[1] or '0', meta[2] or '0', redis.call('ZRANGE', KEYS[1], from, from + limit - 1, 'REV', 'WITHSCORES')}
