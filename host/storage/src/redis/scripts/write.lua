-- Mutations of one slot: each for itself, or all or none.
--
-- KEYS: index, expiry, the register of namespaces (unless namespace is ''), then the entry of each mutation.
-- ARGV: now, margin, atomic ('1'), what conflicts carry ('k', 'a', 'v') and how many bytes of it, namespace, whether the
--   register is cleared ('1'), where a member begins in an entry's name; then for each mutation what is done, its
--   precondition ('', '-' absent, '=VERSION'), and
--     put:    version type value created_at updated_at size checksum expires_at sliding_ms content_type metadata
--     amend:  version updated_at expires_at sliding_ms content_type metadata
--     extend: expires_at        delete, check: nothing
-- Answers one item for each mutation: 0 done, 5 done and the index is new, 1 absent, 2 conflict (with the state),
--   3 not applied, 4 failed (with the reason).
--
-- Lua takes nothing back. So what can fail (the indexes, when they are not ours) is written before the entry is.
local now, margin = tonumber(ARGV[1]), tonumber(ARGV[2])
local atomic, want, room = ARGV[3] == '1', ARGV[4], tonumber(ARGV[5])
local namespace, clears, cut = ARGV[6], ARGV[7] == '1', tonumber(ARGV[8])
local index, expiry = KEYS[1], KEYS[2]
local register = namespace ~= '' and KEYS[3]
local first = register and 3 or 2
local width = { p = 13, a = 8, x = 3, d = 2, c = 2 }

-- What is there: 'absent', 'expired', 'living', or 'damaged'; and its version, expires_at, created_at, ...
local function look(key)
  local old = redis.pcall('HMGET', key, 'version', 'expires_at', 'created_at', 'sliding_ms', 'content_type', 'metadata')
  if old.err then return 'damaged', old end
  if old[1] then
    if not old[2] then return 'living', old end
    local at = tonumber(old[2])
    if not at then return 'damaged', old end
    return at <= now and 'expired' or 'living', old
  end
  if old[2] or old[3] or old[4] or old[5] or old[6] then return 'damaged', old end
  return 'absent', old
end

local function conflict(key, living)
  if want == 'k' or not living then return { 2 } end
  local state = redis.call('HMGET', key, 'version', 'type', 'created_at', 'updated_at', 'size', 'checksum',
    'expires_at', 'sliding_ms', 'content_type', 'metadata')
  if want == 'v' then
    local size = redis.call('HSTRLEN', key, 'value')
    if size <= room then
      room = room - size
      state[11] = redis.call('HGET', key, 'value')
    end
  end
  return { 2, state }
end

-- What stands in the way, or nil.
local function refusal(key, at, found, old)
  local what, pre = ARGV[at], ARGV[at + 1]
  if found == 'damaged' then
    if pre == '' and (what == 'p' or what == 'd') then return nil end
    return { 4, 'damaged' }
  end
  local living = found == 'living'
  if pre == '-' then
    if living then return conflict(key, true) end
  elseif pre ~= '' and not (living and pre == '=' .. old[1]) then
    return conflict(key, living)
  end
  if not living and (what == 'a' or what == 'x') then return 1 end
  return nil
end

local function put(key, at, found, old)
  local expires, sliding, kind, metadata = ARGV[at + 9], ARGV[at + 10], ARGV[at + 11], ARGV[at + 12]
  local result = 0
  if found == 'living' then
    if expires ~= '' then
      if old[2] ~= expires then redis.call('ZADD', expiry, expires, key:sub(cut)) end
    elseif old[2] then
      redis.call('ZREM', expiry, key:sub(cut))
    end
  else
    local member = key:sub(cut)
    local new = redis.call('ZADD', index, 0, member) == 1
    if new and register then
      local answer = redis.pcall('ZADD', register, 0, namespace)
      if type(answer) == 'table' then
        redis.call('ZREM', index, member)
        error(answer)
      end
    elseif new and redis.call('ZCARD', index) == 1 then
      result = 5
    end
    if expires ~= '' then
      redis.call('ZADD', expiry, expires, member)
    elseif not new then
      redis.call('ZREM', expiry, member)
    end
    if found ~= 'absent' then redis.call('UNLINK', key) end
  end
  if found == 'living' and old[3] then
    redis.call('HSET', key, 'version', ARGV[at + 2], 'type', ARGV[at + 3], 'value', ARGV[at + 4],
      'updated_at', ARGV[at + 6], 'size', ARGV[at + 7], 'checksum', ARGV[at + 8])
  else
    redis.call('HSET', key, 'version', ARGV[at + 2], 'type', ARGV[at + 3], 'value', ARGV[at + 4],
      'created_at', ARGV[at + 5], 'updated_at', ARGV[at + 6], 'size', ARGV[at + 7], 'checksum', ARGV[at + 8])
  end
  return result, expires, sliding, kind, metadata
end

local function amend(key, at, _, old)
  local expires = ARGV[at + 4]
  if expires ~= '' then
    if old[2] ~= expires then redis.call('ZADD', expiry, expires, key:sub(cut)) end
  elseif old[2] then
    redis.call('ZREM', expiry, key:sub(cut))
  end
  redis.call('HSET', key, 'version', ARGV[at + 2], 'updated_at', ARGV[at + 3])
  return 0, expires, ARGV[at + 5], ARGV[at + 6], ARGV[at + 7]
end

local function expire(key, expires)
  redis.call('PEXPIRE', key, string.format('%.0f', math.max(tonumber(expires) - now, 0) + margin))
end

-- The fields that an entry may have or not, after a put or an amend.
local function optional(key, found, old, expires, sliding, kind, metadata)
  if expires == '' and sliding == '' and kind == '' and metadata == '' then
    if found == 'living' and (old[2] or old[4] or old[5] or old[6]) then
      redis.call('HDEL', key, 'expires_at', 'sliding_ms', 'content_type', 'metadata')
    end
  else
    local set, gone = { 'HSET', key }, { 'HDEL', key }
    local function field(name, value)
      if value ~= '' then
        set[#set + 1] = name
        set[#set + 1] = value
      else
        gone[#gone + 1] = name
      end
    end
    field('expires_at', expires)
    field('sliding_ms', sliding)
    field('content_type', kind)
    field('metadata', metadata)
    redis.call(unpack(set))
    if found == 'living' and #gone > 2 then redis.call(unpack(gone)) end
  end
  if expires ~= '' then
    expire(key, expires)
  elseif found == 'living' and old[2] then
    redis.call('PERSIST', key)
  end
end

local function delete(key, found, old)
  local member = key:sub(cut)
  local gone = redis.call('ZREM', index, member) == 1
  if old[2] or (gone and (found == 'absent' or found == 'damaged')) then redis.call('ZREM', expiry, member) end
  if gone and register and clears and redis.call('EXISTS', index) == 0 then
    redis.call('ZREM', register, namespace)
  end
  if found ~= 'absent' then redis.call('UNLINK', key) end
  return (found == 'living' or found == 'damaged') and 0 or 1
end

local function apply(key, at, found, old)
  local what = ARGV[at]
  if what == 'p' then
    local result, expires, sliding, kind, metadata = put(key, at, found, old)
    optional(key, found, old, expires, sliding, kind, metadata)
    return result
  elseif what == 'd' then
    return delete(key, found, old)
  elseif what == 'a' then
    local _, expires, sliding, kind, metadata = amend(key, at, found, old)
    optional(key, found, old, expires, sliding, kind, metadata)
  elseif what == 'x' then
    local to = ARGV[at + 2]
    if old[2] and tonumber(old[2]) < tonumber(to) then
      redis.call('ZADD', expiry, to, key:sub(cut))
      redis.call('HSET', key, 'expires_at', to)
      expire(key, to)
    end
  end
  return 0
end

local results, at = {}, 9
if not atomic then
  local function one(key)
    local found, old = look(key)
    return refusal(key, at, found, old) or apply(key, at, found, old)
  end
  for i = 1, #KEYS - first do
    local ok, result = pcall(one, KEYS[first + i])
    if not ok then result = { 4, type(result) == 'table' and result.err or tostring(result) } end
    results[i] = result
    at = at + width[ARGV[at]]
  end
  return results
end

local founds, olds, blocked = {}, {}, false
for i = 1, first do redis.call('ZCARD', KEYS[i]) end
for i = 1, #KEYS - first do
  local key = KEYS[first + i]
  founds[i], olds[i] = look(key)
  results[i] = refusal(key, at, founds[i], olds[i]) or false
  blocked = blocked or results[i]
  at = at + width[ARGV[at]]
end
at = 9
for i = 1, #KEYS - first do
  if not blocked then
    results[i] = apply(KEYS[first + i], at, founds[i], olds[i])
  elseif not results[i] then
    results[i] = 3
  end
  at = at + width[ARGV[at]]
end
return results
