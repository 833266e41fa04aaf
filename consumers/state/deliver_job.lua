-- One step of a job's life: it begins once, is stopped, ends once.
-- KEYS: 1 open, 2 jobs, 3 jobs-at.  ARGV: 'begin' | 'stop' | 'end', id, the job packed, since when (ms), how many to keep.
-- Answers {'open' | 'ended' | 'none', the job as it stands}.
local what, id, packed = ARGV[1], ARGV[2], ARGV[3]
local ended = redis.call('HGET', KEYS[2], id)
if ended then return {'ended', ended} end
local open = redis.call('HGET', KEYS[1], id)
if what == 'begin' then
  if not open then
    redis.call('HSET', KEYS[1], id, packed)
    open = packed
  end
  return {'open', open}
end
if not open then return {'none', ''} end
if what == 'stop' then
  redis.call('HSET', KEYS[1], id, packed)
  return {'open', packed}
end
redis.call('HDEL', KEYS[1], id)
redis.call('HSET', KEYS[2], id, packed)
redis.call('ZADD', KEYS[3], ARGV[4], id)
local over = redis.call('ZCARD', KEYS[3]) - tonumber(ARGV[5])
if over > 0 then
  local oldest = redis.call('ZPOPMIN', KEYS[3], over)
  for i = 1, #oldest, 2 do redis.call('HDEL', KEYS[2], oldest[i]) end
end
return {'ended', packed}
