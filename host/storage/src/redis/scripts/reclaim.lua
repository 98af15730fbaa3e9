-- Removes expired entries, and what Redis' own expiry left of them.
--
-- KEYS: index, expiry, the register of namespaces (unless namespace is ''). ARGV: now, how many, namespace, whether the
--   register is cleared ('1'), what stands before a member in its entry's name.
-- Answers how many were removed, and how many are left to be.
local now, namespace, clears, prefix = tonumber(ARGV[1]), ARGV[3], ARGV[4] == '1', ARGV[5]
local index, expiry = KEYS[1], KEYS[2]
local count = 0
for _, member in ipairs(redis.call('ZRANGE', expiry, '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, ARGV[2])) do
  local key = prefix .. member
  local at = redis.pcall('HGET', key, 'expires_at')
  local instant = type(at) == 'string' and tonumber(at)
  if instant and instant > now then
    -- Someone wrote the hash without us: what it says counts.
    redis.call('ZADD', expiry, at, member)
  elseif not instant and redis.call('EXISTS', key) == 1 then
    redis.call('ZREM', expiry, member)
  else
    redis.call('ZREM', index, member)
    redis.call('ZREM', expiry, member)
    redis.call('UNLINK', key)
    count = count + 1
  end
end
if count > 0 and namespace ~= '' and clears and redis.call('EXISTS', index) == 0 then
  redis.call('ZREM', KEYS[3], namespace)
end
return { count, redis.call('ZCOUNT', expiry, '-inf', ARGV[1]) }
