#!/usr/bin/env bash
# Package: chord-magic 2.1.1 (npm), parse and prettyPrint.
# One would expect: C9, C11 and C13 hold a minor seventh (B flat), as C7 does, and come back as they went in.
# What happens: they are read as major ninth, eleventh and thirteenth (B natural) and printed as Cmaj9, Cmaj11, Cmaj13, while C7
#   stays dominant. Cm7b5 comes back as Cm7 and Cm11 as Cm: what follows the part that is known is dropped without a word.
# Why it matters: a blues in C9 F9 G9 that is transposed by it is played with major sevenths; a half-diminished two becomes a minor one.
# Source: the table of extensions lists '9' under Major9 (dist/chord-magic.es.js, ['Major', ['maj9', 'M9', '9']]); measured.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts chord-magic@2.1.1
node - <<'END'
const { parse, prettyPrint, transpose } = require('chord-magic')
const assert = require('node:assert')
const cases = { C7: 'C7', C9: 'Cmaj9', C11: 'Cmaj11', C13: 'Cmaj13', Cmaj9: 'Cmaj9', Cm7b5: 'Cm7', Cm11: 'Cm' }
for (const [chord, printed] of Object.entries(cases)) {
  const read = parse(chord)
  console.log(chord.padEnd(6), 'is', JSON.stringify(read), 'printed', prettyPrint(read))
  assert.equal(prettyPrint(read), printed)
}
const blues = ['C9', 'F9', 'G9'].map((chord) => prettyPrint(transpose(parse(chord), 2)))
console.log('a blues a tone higher:', blues.join(' '))
assert.deepEqual(blues, ['Dmaj9', 'Gmaj9', 'Amaj9'])
END
