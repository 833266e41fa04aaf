-- Drop from the outbox what the feed need not keep any more.
-- KEYS[1] the outbox.  ARGV[1]: the number of the oldest transition to keep.
-- Answers how many commits went. An entry begins with its first transition's number (see `OutboxEntry`), one without
-- transitions with that of the next: found by bisection over the commits, for entries are of very different sizes.
local keep = tonumber(ARGV[1])
local function first_number(packed)
  local kind = packed:byte(2) -- after the head of a short array
  if kind < 128 then return kind end
  local bytes = ({[0xcc] = 1, [0xcd] = 2, [0xce] = 4, [0xcf] = 8})[kind]
  local number = 0
  for i = 3, 2 + bytes do number = number * 256 + packed:byte(i) end
  return number
end
local function commit_of(entry) return tonumber(entry[1]:match('^%d+')) end

local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if not oldest or first_number(oldest[2][2]) >= keep then return 0 end
local low, high = commit_of(oldest), commit_of(redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1])
while low < high do -- the last commit that begins before `keep`
  local middle = math.floor((low + high + 1) / 2)
  local entry = redis.call('XRANGE', KEYS[1], middle .. '-0', '+', 'COUNT', 1)[1]
  if entry and first_number(entry[2][2]) < keep then low = commit_of(entry) else high = middle - 1 end
end
-- It stays, unless the next one begins with `keep` itself.
local after = redis.call('XRANGE', KEYS[1], (low + 1) .. '-0', '+', 'COUNT', 1)[1]
if after and first_number(after[2][2]) == keep then low = commit_of(after) end
return redis.call('XTRIM', KEYS[1], 'MINID', '=', low .. '-0')
