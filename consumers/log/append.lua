-- Append records to one partition's stream; answers the first one's id (the others follow it, one by one).
-- KEYS[1] the stream.  ARGV[1] msgpack: list of lengths.  ARGV[2] the payloads, joined.
-- Time stands still in a script, so all of a call share the milliseconds; `seq` must stay below 2^20 (an offset packs
-- both into 63 bits), and would not where the server's clock was set back: then a millisecond is added by hand.
local lengths = cmsgpack.unpack(ARGV[1])
local blob = ARGV[2]
local total = 0
for i = 1, #lengths do total = total + lengths[i] end
if total ~= #blob then return redis.error_reply('ERR lengths do not add up') end

local id = '*'
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if newest then
  local ms, seq = newest[1]:match('^(%d+)-(%d+)$')
  if tonumber(seq) >= 524288 then
    local now = redis.call('TIME')
    local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
    if now_ms <= tonumber(ms) then id = string.format('%.0f-0', tonumber(ms) + 1) end
  end
end

local first
local from = 1
for i = 1, #lengths do
  local to = from + lengths[i]
  local given = redis.call('XADD', KEYS[1], id, 'd', blob:sub(from, to - 1))
  if i == 1 then first = given; id = '*' end
  from = to
end
return first
