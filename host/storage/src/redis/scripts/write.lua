-- Mutations of one slot: each for itself, or all or none.
--
-- KEYS: index, expiry, the register of namespaces (unless namespace is ''), then the entry of each mutation.
-- ARGV: now, margin, three letters (whether all or none, 'a' or '-'; what conflicts carry, 'k', 'a' or 'v'; whether the
--   register is cleared, 'c' or '-'), how many bytes conflicts carry, namespace, where a member begins in an entry's name;
--   then for each mutation what is done, its precondition ('', '-' absent, '=VERSION'), and
--     p, a put:     version type value created_at updated_at size checksum
--     P, a put:     the same, then expires_at sliding_ms content_type metadata, of which p has none
--     a, an amend:  version updated_at expires_at sliding_ms content_type metadata
--     x, to extend: expires_at
--     d, a delete; c, a check: nothing
-- Answers one item for each mutation: 0 done, 5 done and the index is new, 1 absent, 2 conflict (with the state),
--   3 not applied, 4 failed (with the reason).
--
-- Lua takes nothing back. So what can fail (the indexes, when they are not ours) is written before the entry is.
--
-- Every call makes its functions anew. So they are few, rare arguments are read where they are needed, and one mutation goes
-- a short way: together a tenth of the time of a set.
local now, room = tonumber(ARGV[1]), tonumber(ARGV[4])
local index, expiry = KEYS[1], KEYS[2]
local first = ARGV[5] ~= '' and 3 or 2

-- What is there: 'absent', 'expired', 'living', or 'damaged'; its version, expires_at, created_at, ...; and what stands in
-- the way of the mutation, or nil.
local function look(key, at)
  local what, pre, found = ARGV[at], ARGV[at + 1], 'absent'
  local old = redis.pcall('HMGET', key, 'version', 'expires_at', 'created_at', 'sliding_ms', 'content_type', 'metadata')
  if old[1] then
    found = 'living'
    if old[2] then
      local instant = tonumber(old[2])
      found = not instant and 'damaged' or instant <= now and 'expired' or 'living'
    end
  elseif old.err or old[2] or old[3] or old[4] or old[5] or old[6] then
    found = 'damaged'
  end
  if found == 'damaged' then
    if pre == '' and (what == 'p' or what == 'P' or what == 'd') then return found, old end
    return found, old, { 4, 'damaged' }
  end
  local living = found == 'living'
  if pre == '' or pre == '-' and not living or living and pre == '=' .. old[1] then
    if not living and (what == 'a' or what == 'x') then return found, old, 1 end
    return found, old
  end
  local want = ARGV[3]:sub(2, 2)
  if want == 'k' or not living then return found, old, { 2 } end
  local state = redis.call('HMGET', key, 'version', 'type', 'created_at', 'updated_at', 'size', 'checksum',
    'expires_at', 'sliding_ms', 'content_type', 'metadata')
  if want == 'v' then
    local size = redis.call('HSTRLEN', key, 'value')
    if size <= room then
      room = room - size
      state[11] = redis.call('HGET', key, 'value')
    end
  end
  return found, old, { 2, state }
end

-- Does it. Nothing stands in the way.
local function apply(key, at, found, old)
  local what, living, result = ARGV[at], found == 'living', 0
  if what == 'c' then return 0 end

  if what == 'd' then
    local member, clears = key:sub(ARGV[6]), ARGV[3]:sub(3) == 'c'
    local gone = redis.call('ZREM', index, member) == 1
    if old[2] or (gone and (found == 'absent' or found == 'damaged')) then redis.call('ZREM', expiry, member) end
    if gone and first == 3 and clears and redis.call('EXISTS', index) == 0 then
      redis.call('ZREM', KEYS[3], ARGV[5])
    end
    if found ~= 'absent' then redis.call('UNLINK', key) end
    return (living or found == 'damaged') and 0 or 1
  end

  -- What an entry may have or not.
  local expires, sliding, kind, metadata = '', '', '', ''
  if what == 'P' then
    expires, sliding, kind, metadata = unpack(ARGV, at + 9, at + 12)
  elseif what == 'a' then
    expires, sliding, kind, metadata = unpack(ARGV, at + 4, at + 7)
  elseif what == 'x' then
    expires, sliding, kind, metadata = ARGV[at + 2], old[4] or '', old[5] or '', old[6] or ''
    if not old[2] or tonumber(old[2]) >= tonumber(expires) then return 0 end
  end

  -- The indexes.
  if not living then
    local member = key:sub(ARGV[6])
    local new = redis.call('ZADD', index, 0, member) == 1
    if new and first == 3 then
      local answer = redis.pcall('ZADD', KEYS[3], 0, ARGV[5])
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
  elseif expires ~= (old[2] or '') then
    if expires ~= '' then
      redis.call('ZADD', expiry, expires, key:sub(ARGV[6]))
    else
      redis.call('ZREM', expiry, key:sub(ARGV[6]))
    end
  end

  -- The entry.
  if what == 'a' then
    redis.call('HSET', key, 'version', ARGV[at + 2], 'updated_at', ARGV[at + 3])
  elseif what ~= 'x' then
    if living and old[3] then
      redis.call('HSET', key, 'version', ARGV[at + 2], 'type', ARGV[at + 3], 'value', ARGV[at + 4],
        'updated_at', ARGV[at + 6], 'size', ARGV[at + 7], 'checksum', ARGV[at + 8])
    else
      redis.call('HSET', key, 'version', ARGV[at + 2], 'type', ARGV[at + 3], 'value', ARGV[at + 4],
        'created_at', ARGV[at + 5], 'updated_at', ARGV[at + 6], 'size', ARGV[at + 7], 'checksum', ARGV[at + 8])
    end
  end
  if what ~= 'p' or living and (old[2] or old[4] or old[5] or old[6]) then
    local wanted = { [2] = expires, [4] = sliding, [5] = kind, [6] = metadata }
    local set, gone = { 'HSET', key }, { 'HDEL', key }
    for place, name in pairs({ [2] = 'expires_at', [4] = 'sliding_ms', [5] = 'content_type', [6] = 'metadata' }) do
      local value = wanted[place]
      if value == (living and old[place] or '') then
        -- It is so already.
      elseif value ~= '' then
        set[#set + 1] = name
        set[#set + 1] = value
      else
        gone[#gone + 1] = name
      end
    end
    if #set > 2 then redis.call(unpack(set)) end
    if #gone > 2 then redis.call(unpack(gone)) end
    if expires ~= '' then
      local margin = tonumber(ARGV[2])
      redis.call('PEXPIRE', key, string.format('%.0f', math.max(tonumber(expires) - now, 0) + margin))
    elseif living and old[2] then
      redis.call('PERSIST', key)
    end
  end
  return result
end

if #KEYS - first == 1 then
  local key = KEYS[first + 1]
  local found, old, refused = look(key, 7)
  return { refused or apply(key, 7, found, old) }
end

-- How many arguments a mutation has.
local width = { p = 9, P = 13, a = 8, x = 3, d = 2, c = 2 }
local results, at = {}, 7
if ARGV[3]:sub(1, 1) ~= 'a' then
  local function one(key)
    local found, old, refused = look(key, at)
    return refused or apply(key, at, found, old)
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
  founds[i], olds[i], results[i] = look(KEYS[first + i], at)
  blocked = blocked or results[i]
  at = at + width[ARGV[at]]
end
at = 7
for i = 1, #KEYS - first do
  if not blocked then
    results[i] = apply(KEYS[first + i], at, founds[i], olds[i])
  elseif not results[i] then
    results[i] = 3
  end
  at = at + width[ARGV[at]]
end
return results
