-- Removes entries of a namespace, expired or not.
--
-- KEYS: index, expiry, the register of namespaces (unless namespace is ''). ARGV: how many, namespace, whether the
--   register is cleared ('1'), what stands before a member in its entry's name.
-- Answers how many were removed, and how many are left.
local namespace, clears, prefix = ARGV[2], ARGV[3] == '1', ARGV[4]
local index, expiry = KEYS[1], KEYS[2]
local members = redis.call('ZRANGE', index, 0, tonumber(ARGV[1]) - 1)
if #members > 0 then
  redis.call('ZREM', expiry, unpack(members))
  for _, member in ipairs(members) do redis.call('UNLINK', prefix .. member) end
  redis.call('ZREM', index, unpack(members))
end
local left = redis.call('ZCARD', index)
if left == 0 then
  redis.call('UNLINK', expiry)
  if namespace ~= '' and clears then redis.call('ZREM', KEYS[3], namespace) end
end
return { #members, left }
