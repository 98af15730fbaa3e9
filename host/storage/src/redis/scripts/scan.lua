-- A page of a listing.
--
-- KEYS: index, expiry. ARGV: the lower and the upper bound, how many, now, what is wanted ('k', 'a', 'v'), how many bytes
--   there is room for, what stands before a member in its entry's name.
-- Answers whether there is more ('1'), the last key that was looked at, and the keys; unless 'k', each followed by its
--   fields in the order of format.rs, or 'damaged'.
--
-- A key whose entry is gone (Redis expired or evicted it) is left out here; reclaim removes what is left of it.
local limit, now, want = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local room, prefix = tonumber(ARGV[6]), ARGV[7]
local members = redis.call('ZRANGE', KEYS[1], ARGV[1], ARGV[2], 'BYLEX', 'LIMIT', 0, limit + 1)
local more = '0'
if #members > limit then
  more = '1'
  members[#members] = nil
end
local page = { more, members[#members] or '' }
if #members == 0 then return page end

if want == 'k' then
  local names, scores = {}, {}
  for i, member in ipairs(members) do names[i] = prefix .. member end
  local all = redis.call('EXISTS', unpack(names)) == #names
  if redis.call('ZCOUNT', KEYS[2], '-inf', ARGV[4]) > 0 then
    scores = redis.call('ZMSCORE', KEYS[2], unpack(members))
  end
  for i, member in ipairs(members) do
    local due = scores[i] and tonumber(scores[i]) <= now
    if not due and (all or redis.call('EXISTS', names[i]) == 1) then page[#page + 1] = member end
  end
  return page
end

for i, member in ipairs(members) do
  local key = prefix .. member
  local state
  if want == 'v' then
    local size = redis.pcall('HSTRLEN', key, 'value')
    if type(size) == 'number' then
      room = room - size
      if room < 0 and i > 1 then
        page[1], page[2] = '1', members[i - 1]
        break
      end
    end
    state = redis.pcall('HMGET', key, 'version', 'type', 'created_at', 'updated_at', 'size', 'checksum',
      'expires_at', 'sliding_ms', 'content_type', 'metadata', 'value')
  else
    state = redis.pcall('HMGET', key, 'version', 'type', 'created_at', 'updated_at', 'size', 'checksum',
      'expires_at', 'sliding_ms', 'content_type', 'metadata')
  end
  room = room - 128
  if state[10] then room = room - #state[10] end
  if state.err or state[1] or state[2] or state[3] then
    page[#page + 1] = member
    page[#page + 1] = state.err and 'damaged' or state
  end
end
return page
