-- One commit of one partition: all of it or nothing, once.
-- KEYS: 1 meta, 2 timers, 3 judged, 4 out, 5 dead, 6 defs, then the members zset of every segment in `members`,
--   then the profile of every customer in `sizes`.
-- ARGV[1]: msgpack map (see commit.py, which writes it).  ARGV[2]: profiles, outbox entry, dead letters, definitions,
--   joined in this order.
-- Answers {'ok' | 'again' | 'reload', why, nearest, customers}: `nearest` the earliest timers, {customer, ms, ...}.
local c = cmsgpack.unpack(ARGV[1])
local blob = ARGV[2]
local meta, timers, judged, out, dead, defs = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local CHUNK = 4000 -- even; Lua's stack holds 8,000

local function answer(what, why)
  local nearest = redis.call('ZRANGE', timers, 0, c.nearest - 1, 'WITHSCORES')
  return {what, why, nearest, redis.call('ZCARD', judged)}
end

-- Fence: the owner's epoch, and the number of the commit.
local now = redis.call('HMGET', meta, 'epoch', 'commit', 'token')
local epoch, commit, token = now[1] or '0', now[2] or '0', now[3] or ''
if epoch ~= c.epoch then return answer('reload', 'epoch ' .. epoch .. ' owns the partition, not ' .. c.epoch) end
if commit == c.commit and token == c.token then return answer('again', '') end
if commit ~= c.expects then return answer('reload', 'commit ' .. commit .. ' is the last, not ' .. c.expects) end

-- Check everything that could fail, before the first write: a script that fails half way is not undone. (What is read
-- before has failed already, the profiles are overwritten, whatever they were, and nobody looks at what is not written.)
local fixed, members = 6, #c.members
local wrong
local function check(key, wanted)
  local is = redis.call('TYPE', key)['ok']
  if is ~= 'none' and is ~= wanted then wrong = wrong or ('ERR ' .. key .. ' is a ' .. is) end
end
check(timers, 'zset')
check(judged, 'zset')
for i = 1, members do check(KEYS[fixed + i], 'zset') end
if c.out_size > 0 then check(out, 'stream') end
if #c.dead > 0 then check(dead, 'stream') end
if c.defs_size > 0 then check(defs, 'string') end
if wrong then return redis.error_reply(wrong) end
if fixed + members + #c.sizes ~= #KEYS then
  return redis.error_reply('ERR a key for each segment and customer, please')
end
local total = c.out_size + c.defs_size
for i = 1, #c.sizes do total = total + c.sizes[i] end
for i = 1, #c.dead do total = total + c.dead[i][1] end
if total ~= #blob then return redis.error_reply('ERR sizes do not add up to the blob') end
if c.out_size > 0 then
  local newest = redis.call('XREVRANGE', out, '+', '-', 'COUNT', 1)[1]
  if newest and tonumber(newest[1]:match('^%d+')) >= tonumber(c.commit) then
    return redis.error_reply('ERR the outbox is ahead of the commits')
  end
end
local function check_pairs(list)
  if #list % 2 ~= 0 then return false end
  for i = 1, #list, 2 do
    if type(list[i]) ~= 'number' or type(list[i + 1]) ~= 'string' then return false end
  end
  return true
end
local fine = check_pairs(c.timers) and check_pairs(c.judged)
for i = 1, #c.members do fine = fine and check_pairs(c.members[i][1]) end
if not fine then return redis.error_reply('ERR scores and members, please') end

local at = 1
local function take(size)
  local from = at
  at = at + size
  return blob:sub(from, at - 1)
end
local function each(command, key, list)
  for i = 1, #list, CHUNK do
    redis.call(command, key, unpack(list, i, math.min(i + CHUNK - 1, #list)))
  end
end

-- Profiles
local pairs_, filled = {}, 0
for i = 1, #c.sizes do
  pairs_[filled + 1] = KEYS[fixed + members + i]
  pairs_[filled + 2] = take(c.sizes[i])
  filled = filled + 2
  if filled == CHUNK or i == #c.sizes then
    redis.call('MSET', unpack(pairs_, 1, filled))
    filled = 0
  end
end
-- Membership index, timers, editions
for i = 1, #c.members do
  each('ZADD', KEYS[fixed + i], c.members[i][1])
  each('ZREM', KEYS[fixed + i], c.members[i][2])
end
each('ZADD', timers, c.timers)
each('ZREM', timers, c.timers_off)
each('ZADD', judged, c.judged)
-- Outbox, dead letters, definitions
if c.out_size > 0 then
  local entry = {'t', take(c.out_size)}
  if c.trigger then entry[3], entry[4] = 'n', c.trigger end
  redis.call('XADD', out, 'MAXLEN', '~', c.out_max, c.commit .. '-0', unpack(entry))
end
for i = 1, #c.dead do
  local letter = c.dead[i]
  redis.call('XADD', dead, 'MAXLEN', '~', c.dead_max, '*', 'reason', letter[2], 'origin', letter[3], 'raw', take(letter[1]))
end
if c.defs_size > 0 then redis.call('SET', defs, take(c.defs_size)) end
-- Meta, the position among it
if c.show then -- nobody waits for the disk: readers see it at once (otherwise `show` does this, when it is there)
  local time = redis.call('TIME')
  local time_ms = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
  redis.call('HSET', meta, 'commit', c.commit, 'token', c.token, 'seen', time_ms, 'shown', c.commit, 'shown_position',
    c.show[1], unpack(c.meta))
  redis.call('PUBLISH', c.show[2], c.show[3])
else
  redis.call('HSET', meta, 'commit', c.commit, 'token', c.token, unpack(c.meta))
end
return answer('ok', '')
