-- One write of a partition's deliveries: all of it or nothing, once.
-- KEYS: 1 deliveries, 2 cursors, 3 counts, 4 jobs, then the keys of the targets, which `blocks` name by their place.
-- ARGV[1]: msgpack map (see deliveries.py, which writes it); then the records, which it names by their place.
-- Answers {'ok' | 'again' | 'fenced', why, then for each block {parked, retried, woken} or {} where it has no parked key}.
local c = cmsgpack.unpack(ARGV[1])
local deliveries, cursors, counts, jobs = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local CHUNK, SOME = 4000, 200 -- Lua's stack holds 8,000; what is trimmed beside other work
local now = c.now

local has = redis.call('HMGET', deliveries, 'epoch', 'write')
local epoch, write = has[1] or '0', has[2] or '0'
if epoch ~= c.epoch then return {'fenced', 'epoch ' .. epoch .. ' has the deliveries, not ' .. c.epoch} end
local again = write == c.write
if not again and write ~= c.expects then return {'fenced', 'write ' .. write .. ' is the last, not ' .. c.expects} end

local function text(number) return string.format('%.0f', number) end
local woken = {}

-- A parked item is its flag (w waiting, r retried), its due time in 16 digits, and its record.
-- The first of a lane is in the zset of its flag, the others wait for it.
local function schedule(b, n, flag, due) redis.call('ZADD', KEYS[b.k[flag]], text(due), n) end
local function member(lane, n) return lane .. '\0' .. string.format('%016.0f', tonumber(n)) end
local function first(b, lane)
  local found = redis.call('ZRANGE', KEYS[b.k.l], '[' .. lane .. '\0', '[' .. lane .. '\0\255', 'BYLEX', 'LIMIT', 0, 1)[1]
  return found and text(tonumber(found:sub(-16)))
end
local function put(b, n, flag, due, record)
  redis.call('HSET', KEYS[b.k.p], n, flag .. string.format('%016.0f', due) .. record)
end

local function park(b, lane, flag, due, record)
  local n = text(redis.call('HINCRBY', deliveries, 'parked', 1))
  put(b, n, flag, due, record)
  local free = lane == '' or not first(b, lane)
  if lane ~= '' then redis.call('ZADD', KEYS[b.k.l], 0, member(lane, n)) end
  if free then schedule(b, n, flag, due) end
end

local ops = {}
function ops.park(b, op) park(b, op[2], op[3], op[4], ARGV[op[5]]) end
function ops.again(b, op) -- n, lane, flag, due, record: it stays the first of its lane
  local n = op[2]
  if redis.call('HEXISTS', KEYS[b.k.p], n) == 0 then return end
  put(b, n, op[4], op[5], ARGV[op[6]])
  redis.call('ZREM', KEYS[b.k.w], n)
  redis.call('ZREM', KEYS[b.k.r], n)
  schedule(b, n, op[4], op[5])
end
function ops.settle(b, op) -- n, lane
  local n, lane = op[2], op[3]
  redis.call('HDEL', KEYS[b.k.p], n)
  redis.call('ZREM', KEYS[b.k.w], n)
  redis.call('ZREM', KEYS[b.k.r], n)
  if lane == '' then return end
  redis.call('ZREM', KEYS[b.k.l], member(lane, n))
  local following = first(b, lane)
  if following then
    local packed = redis.call('HGET', KEYS[b.k.p], following)
    schedule(b, following, packed:sub(1, 1), tonumber(packed:sub(2, 17)))
  end
end
function ops.dead(b, op) -- item, ms, record
  redis.call('HSET', KEYS[b.k.d], op[2], ARGV[op[4]])
  redis.call('ZADD', KEYS[b.k.a], text(op[3]), op[2])
  local over = redis.call('ZCARD', KEYS[b.k.a]) - c.dead_max
  if over > 0 then
    local oldest = redis.call('ZPOPMIN', KEYS[b.k.a], over)
    for i = 1, #oldest, 2 do redis.call('HDEL', KEYS[b.k.d], oldest[i]) end
    redis.call('HINCRBY', counts, b.t .. ' dead_dropped', over)
  end
end
function ops.revive(b, op) -- item, lane, flag, due, record, job
  if redis.call('HDEL', KEYS[b.k.d], op[2]) == 0 then return end
  redis.call('ZREM', KEYS[b.k.a], op[2])
  park(b, op[3], op[4], op[5], ARGV[op[6]])
  redis.call('HINCRBY', jobs, op[7] .. ' queued', 1)
end
function ops.wake(b, op) -- at most so many: what is to be tried again is due now
  local found = redis.call('ZRANGE', KEYS[b.k.r], '(' .. text(now), '+inf', 'BYSCORE', 'LIMIT', 0, op[2])
  for i = 1, #found do redis.call('ZADD', KEYS[b.k.r], text(now), found[i]) end
  woken[b] = #found
end

local function each(command, key, list)
  for i = 1, #list, CHUNK do redis.call(command, key, unpack(list, i, math.min(i + CHUNK - 1, #list))) end
end

local function apply(b)
  for i = 1, #b.ops do ops[b.ops[i][1]](b, b.ops[i]) end
  for i = 1, #b.log do redis.call('XADD', KEYS[b.k.g], 'MAXLEN', '~', c.log_max, '*', 'e', ARGV[b.log[i]]) end
  if b.k.k then
    each('ZADD', KEYS[b.k.k], b.done)
    local old = redis.call('ZRANGE', KEYS[b.k.k], '-inf', '(' .. text(c.done_before), 'BYSCORE', 'LIMIT', 0, SOME)
    each('ZREM', KEYS[b.k.k], old)
    local over = redis.call('ZCARD', KEYS[b.k.k]) - c.done_max
    if over > 0 then
      redis.call('ZPOPMIN', KEYS[b.k.k], over)
      redis.call('HINCRBY', counts, b.t .. ' done_dropped', over)
    end
  end
  if b.remove then
    for _, at in pairs(b.k) do redis.call('UNLINK', KEYS[at]) end
  end
end

local time = redis.call('TIME')
local until_ms = c.release and 0 or time[1] * 1000 + math.floor(time[2] / 1000) + c.lease_ms
redis.call('HSET', deliveries, 'write', c.write, 'owner', c.release and '' or c.owner, 'until', text(until_ms))
if not again then
  if c.slowest then redis.call('HSET', deliveries, 'slowest', c.slowest) end
  each('HSET', cursors, c.cursors)
  for i = 1, #c.counts, 2 do redis.call('HINCRBY', counts, c.counts[i], c.counts[i + 1]) end
  each('HSET', counts, c.marks)
  each('HSET', jobs, c.jobs)
  for i = 1, #c.job_counts, 2 do redis.call('HINCRBY', jobs, c.job_counts[i], c.job_counts[i + 1]) end
  for i = 1, #c.blocks do apply(c.blocks[i]) end
  each('HDEL', cursors, c.cursors_off)
  each('HDEL', counts, c.counts_off)
  each('HDEL', jobs, c.jobs_off)
end

local answer = {again and 'again' or 'ok', ''}
for i = 1, #c.blocks do
  local b = c.blocks[i]
  if b.k.p then
    answer[i + 2] = {redis.call('HLEN', KEYS[b.k.p]), redis.call('ZCARD', KEYS[b.k.r]), woken[b] or 0}
  else
    answer[i + 2] = {}
  end
end
return answer
