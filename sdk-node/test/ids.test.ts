/** Ids of decisions: when they were taken can be read from them, and in which order. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { now } from "../src/clock.js";
import { idTime, newId } from "../src/ids.js";

test("ids taken one after another are in order, within a millisecond too", () => {
  const times = Array.from({ length: 500 }, now);
  assert.ok(new Set(times.map((at) => Math.floor(at / 1000))).size < times.length / 10, "many calls shared a millisecond");
  const ids = times.map(newId);
  assert.deepEqual(ids, [...ids].sort());
  assert.deepEqual(ids.map(idTime), times.map((at) => Math.floor(at / 1000) * 1000));
});

test("ids of one time are distinct, and of the form of version 7", () => {
  const ids = Array.from({ length: 3_000 }, () => newId(1_795_000_000_123_456));
  assert.equal(new Set(ids).size, 3_000);
  for (const id of ids) assert.match(id, /^01a1ee56-5e7b-774b-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
