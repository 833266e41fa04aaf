-- Move a partition's position to where its log goes on: what lies between is gone, and a person has accepted that.
-- KEYS[1] meta.  ARGV: the position that was looked at, the new one, the log's newest record, how many gaps to remember.
-- Whoever owns the partition finds at its next word that it does not any more, and takes it over where it stands now.
-- Answers '', or why nothing was changed.
local has = redis.call('HMGET', KEYS[1], 'position', 'shown_position', 'lost_to', 'lost_position', 'gaps')
local position = has[1] or '-1'
if position ~= ARGV[1] then return 'position ' .. position .. ' is its last, not ' .. ARGV[1] end
local time = redis.call('TIME')
local now_ms = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))

local gaps = {}
for gap in (has[5] or ''):gmatch('%S+') do gaps[#gaps + 1] = gap end
gaps[#gaps + 1] = ARGV[1] .. '-' .. ARGV[2] .. '@' .. now_ms
local first = math.max(1, #gaps - tonumber(ARGV[4]) + 1)

redis.call('HINCRBY', KEYS[1], 'epoch', 1)
redis.call('HSET', KEYS[1], 'owner', '', 'trouble', '', 'position', ARGV[2], 'gaps', table.concat(gaps, ' ', first))
-- Offsets are below 2^63, which Lua's numbers do not tell apart: they are compared as text.
local function less(a, b)
  local a_minus, b_minus = a:sub(1, 1) == '-', b:sub(1, 1) == '-'
  if a_minus ~= b_minus then return a_minus end
  if #a ~= #b then return #a < #b end
  return a < b
end
if less(ARGV[2], has[2] or '-1') then redis.call('HSET', KEYS[1], 'shown_position', ARGV[2]) end
-- What a roll-back of the store lost and the log does not have any more is not waited for.
if (has[3] or '0') ~= '0' and less(ARGV[3], has[4] or '-1') then redis.call('HSET', KEYS[1], 'lost_position', ARGV[3]) end
return ''
