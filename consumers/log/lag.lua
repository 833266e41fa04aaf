-- How many records of a stream come after a position: counted up to a bound, without sending any.
-- KEYS[1] the stream.  ARGV: position (a stream id), the bound.
-- Answers {newest id ('' for none ever), count}.
local function last_id()
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return info[i + 1] end
  end
end
if redis.call('EXISTS', KEYS[1]) == 0 then return {'', 0} end
local count, from, bound = 0, ARGV[1], tonumber(ARGV[2])
while count < bound do
  local chunk = redis.call('XRANGE', KEYS[1], '(' .. from, '+', 'COUNT', math.min(500, bound - count))
  if #chunk == 0 then break end
  count = count + #chunk
  from = chunk[#chunk][1]
end
return {last_id(), count}
