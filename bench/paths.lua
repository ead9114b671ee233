-- what wrk asks for when it is not always the same, and its figures on one line of JSON
--
-- arguments: PICK OBJECTS SEED ZIPF MISS_PERCENT TEMPLATE [SIZE,SIZE,...]
--   each: one after the other    uniform: any of them    zipf: any, the first ones more often
--   once: as each, and the measurement ends with the last of them, if it has not ended before
--   fill: each of them once, and it ends when all are answered
--   MISS_PERCENT of the requests are for addresses that nobody has asked for
local objects, zipf, miss, next_n, missed, due, got, bad = 1, 1, 0, 0, 0, 0, 0, 0
local heads, tails, cumulative = {}, {}, {}

local function of(i, n)
  local k = (i - 1) % #heads + 1
  return heads[k] .. n .. tails[k]
end

local function draw()
  local x, low, high = math.random() * cumulative[objects], 1, objects
  while low < high do
    local middle = math.floor((low + high) / 2)
    if cumulative[middle] < x then low = middle + 1 else high = middle end
  end
  return low
end

local function weigh()
  local sum = 0
  for i = 1, objects do
    sum = sum + 1 / i ^ zipf
    cumulative[i] = sum
  end
end

-- wrk's main thread would sleep on to the end of its time: who reads this line interrupts it, and it reports
local function over()
  print("@over")
  io.stdout:flush()
  wrk.thread:stop()
end

local picks = {
  each = function() next_n = next_n % objects + 1; return next_n end,
  once = function()
    next_n = next_n + 1
    if next_n == objects + 1 then over() end
    return (next_n - 1) % objects + 1
  end,
  uniform = function() return math.random(objects) end,
  zipf = draw,
}
picks.fill = picks.each

function init(args)
  if #args < 6 then return end
  local pick, seed, template = args[1], args[3], args[6]:gsub("{seed}", args[3])
  objects, zipf, miss = tonumber(args[2]), tonumber(args[4]), tonumber(args[5]) / 100
  for size in (args[7] or "-"):gmatch("[^,]+") do
    local whole = wrk.format("GET", (template:gsub("{size}", size)))
    local from, to = whole:find("{n}", 1, true)
    heads[#heads + 1], tails[#tails + 1] = whole:sub(1, from - 1), whole:sub(to + 1)
  end
  math.randomseed(#seed * 7919 + (tonumber(seed:match("%d+")) or 0))
  if pick == "zipf" then weigh() end
  local choose, begun = picks[pick], false
  function request()
    if not begun then -- wrk looks at one request before it sends any
      begun = true
      return of(1, 1)
    end
    if miss > 0 and math.random() < miss then
      missed = missed + 1
      return of(missed, "miss-" .. seed .. "-" .. missed)
    end
    local n = choose()
    return of(n, n)
  end
  if pick == "fill" then
    -- a connection that has nothing left to ask waits: at the end no request is on its way, to be broken off
    function delay()
      due = due + 1
      return due > objects and 1e6 or 0
    end
    function response(status)
      got = got + 1
      if status ~= 200 then bad = bad + 1 end
      if got == objects then
        print("@filled " .. bad)
        over()
      end
    end
  end
end

function done(summary, latency)
  local e = summary.errors
  print(string.format('@{"requests": %d, "seconds": %.6f, "errors": %d, "p50_ms": %.4f, "p99_ms": %.4f, "p999_ms": %.4f}',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3))
end
