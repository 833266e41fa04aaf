-- Drop from the outbox what is older than the newest so many triggers, transitions too.
-- KEYS[1] the outbox.  ARGV: the number of the oldest trigger to keep, of the oldest transition that must stay.
-- Answers how many commits went. Once a partition has had triggers each entry says the number of its first one, or of the
-- next (`n`); entries from before do not.
local keep, needed = tonumber(ARGV[1]), tonumber(ARGV[2])
local function first_trigger(entry) return tonumber(entry[2][4] or '0') end
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
if not oldest or first_trigger(oldest) >= keep then return 0 end
local low, high = commit_of(oldest), commit_of(redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1])
while low < high do -- the last commit that begins before `keep`: the next one is the first that need stay
  local middle = math.floor((low + high + 1) / 2)
  local entry = redis.call('XRANGE', KEYS[1], middle .. '-0', '+', 'COUNT', 1)[1]
  if entry and first_trigger(entry) < keep then low = commit_of(entry) else high = middle - 1 end
end
local stays = redis.call('XRANGE', KEYS[1], low .. '-0', '+', 'COUNT', 1)[1]
if first_number(stays[2][2]) > needed then return 0 end
return redis.call('XTRIM', KEYS[1], 'MINID', '=', low .. '-0')
