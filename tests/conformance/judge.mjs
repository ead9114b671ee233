// judge.mjs - what the suite itself says of its results, its own rules of dependencies included.
//
//   node judge.mjs SUITE RESULTS.json      prints [{id, kind, verdict, detail}, ...]
//
// SUITE is the folder of the released package, or of its newest source, which keeps the same things elsewhere.
import fs from 'fs'
import path from 'path'
import { pathToFileURL } from 'url'

const [suite, file] = process.argv.slice(2)
const load = name => import(pathToFileURL(path.resolve(suite, name)).href)
const newest = fs.existsSync(path.join(suite, 'test-engine'))

const suites = (await load('tests/index.mjs')).default
if (!newest) suites.push((await load('tests/surrogate-control.mjs')).default)
const { determineTestResult } = await load(newest ? 'test-engine/lib/results.mjs' : 'lib/display.mjs')

const words = { '-': 'untested', '✅': 'pass', '⛔️': 'fail', '⚠️': 'fail', Y: 'yes', N: 'no', '🔹': 'setup', '⁉️': 'harness', '⚪️': 'dependency', '↻': 'retry' }
const results = JSON.parse(fs.readFileSync(file, 'utf8'))

const verdicts = suites.flatMap(({ tests }) => tests)
  .filter(test => test.browser_only !== true)
  .map(test => ({
    id: test.id,
    kind: test.kind || 'required',
    verdict: words[determineTestResult(suites, test.id, results)[2]],
    detail: results[test.id] === true ? '' : String((results[test.id] || [])[1] || '')
  }))
console.log(JSON.stringify(verdicts))
