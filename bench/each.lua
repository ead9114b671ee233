-- every request another address, so that each is a miss: /store/SEED/1, /store/SEED/2, ...
local n, seed = 0, "0"
function init(args) seed = args[1] or "0" end
function request()
  n = n + 1
  return wrk.format("GET", "/store/" .. seed .. "/" .. n)
end
