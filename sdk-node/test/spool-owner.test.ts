import assert from "node:assert/strict";
import { chownSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Kept } from "../src/kept.js";
import { checkOwner } from "../src/recorder/folders.js";
import { readSettings } from "../src/settings.js";
import { folder } from "./places.js";

const SOMEBODY_ELSE = 12_345;
const onlyRoot = { skip: process.getuid?.() === 0 ? false : "only root can give a folder away" };

test("a spool of one's own is believed", (context) => {
  checkOwner(folder(context));
});

test("a spool that somebody else made is not, nor is one that a link of theirs leads to", onlyRoot, (context) => {
  const theirs = folder(context);
  chownSync(theirs, SOMEBODY_ELSE, SOMEBODY_ELSE);
  assert.throws(() => checkOwner(theirs), /belongs to another user/);
  const link = join(folder(context), "link");
  symlinkSync(theirs, link);
  assert.throws(() => checkOwner(link), /belongs to another user/);
});

test("a bundle and a trust planted in it are not read", onlyRoot, (context) => {
  const spool = folder(context);
  const settings = readSettings({ apiKey: "cz_test_key", baseUrl: "http://127.0.0.1:1", projectId: "shop", spool });
  const kept = new Kept(settings);
  const planted = { projectId: "shop", version: 1, digest: "d", keys: {} };
  kept.keep(null, { ...planted, keys: new Map() } as never, 1);
  assert.notEqual(kept.readTrust(), null);
  chownSync(spool, SOMEBODY_ELSE, SOMEBODY_ELSE);
  assert.throws(() => kept.readTrust(), /belongs to another user/);
  assert.equal(kept.readBundle(), null);
});
