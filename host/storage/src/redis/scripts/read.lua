-- Entries, as many of the first as there is room for.
--
-- KEYS: the entries. ARGV: whether values are wanted ('1'), how many bytes there is room for.
-- Answers for each its fields in the order of format.rs, or 'damaged'.
local wanted, room = ARGV[1] == '1', tonumber(ARGV[2])
local states = {}
for i = 1, #KEYS do
  local key = KEYS[i]
  local state
  if wanted then
    local size = redis.pcall('HSTRLEN', key, 'value')
    if type(size) == 'number' then
      room = room - size
      if room < 0 and i > 1 then break end
    end
    state = redis.pcall('HMGET', key, 'version', 'type', 'created_at', 'updated_at', 'size', 'checksum',
      'expires_at', 'sliding_ms', 'content_type', 'metadata', 'value')
  else
    state = redis.pcall('HMGET', key, 'version', 'type', 'created_at', 'updated_at', 'size', 'checksum',
      'expires_at', 'sliding_ms', 'content_type', 'metadata')
  end
  if state[10] then room = room - #state[10] end
  room = room - 128
  states[i] = state.err and 'damaged' or state
end
return states
