// Single messages and their answers: each error with the code and the words that clients know.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";

import { Client, types } from "./client.js";
import { kinds, type Server } from "./servers.js";

const json0 = "http://sharejs.org/types/JSONv0";
const op = { a: "op", c: "dogs", d: "rex", x: {} };

/** Each message, sent after rex was made (v 0) and edited (v 1), and cat made and deleted; then the code and the words of the error ("any" where ShareDB's own is of no use). */
const refused: Record<string, [message: any, code: string, words?: RegExp]> = {
  "an unknown message": [{ a: "zz", c: "dogs", d: "rex" }, "ERR_MESSAGE_BADLY_FORMED", /^Invalid or unknown message$/],
  "a collection that is no text": [{ a: "f", c: 7, d: "rex" }, "ERR_MESSAGE_BADLY_FORMED", /^Invalid collection$/],
  "a collection with a dangerous name": [{ a: "f", c: "__proto__", d: "rex" }, "ERR_MESSAGE_BADLY_FORMED", /^Invalid collection$/],
  "an id with a dangerous name": [{ a: "s", c: "dogs", d: "constructor" }, "ERR_MESSAGE_BADLY_FORMED", /^Invalid id$/],
  "a negative version": [{ a: "f", c: "dogs", d: "rex", v: -1 }, "ERR_MESSAGE_BADLY_FORMED", /^Invalid version$/],
  "a version that is no number": [{ ...op, v: "1", seq: 1, op: [] }, "ERR_MESSAGE_BADLY_FORMED", /^Invalid version$/],
  "a query without id": [{ a: "qf", c: "dogs", q: {} }, "ERR_MESSAGE_BADLY_FORMED", /^Missing query ID$/],
  "bulk without documents": [{ a: "bs", c: "dogs", b: 1 }, "ERR_MESSAGE_BADLY_FORMED", /^Invalid bulk subscribe data$/],
  "an operation of nothing": [{ ...op, v: 2, seq: 1 }, "any"],
  "a sequence number beyond all": [{ ...op, v: 2, seq: Number.MAX_SAFE_INTEGER, op: [] }, "ERR_CONNECTION_SEQ_INTEGER_OVERFLOW"],
  "a version that is not there yet": [{ ...op, v: 3, seq: 1, op: [{ p: ["n"], na: 1 }] }, "ERR_OP_VERSION_NEWER_THAN_CURRENT_SNAPSHOT"],
  "a creation of what exists": [{ ...op, v: 2, seq: 1, create: { type: json0, data: {} } }, "ERR_DOC_ALREADY_CREATED"],
  "a blind creation of what exists": [{ ...op, v: null, seq: 1, create: { type: json0, data: {} } }, "ERR_DOC_ALREADY_CREATED", /^Invalid op submitted\. Document already created$/],
  "a creation before somebody else's": [{ ...op, v: 0, seq: 1, create: { type: json0, data: {} } }, "ERR_DOC_ALREADY_CREATED"],
  "an edit before a creation": [{ ...op, v: 0, seq: 1, op: [{ p: ["n"], na: 1 }] }, "ERR_DOC_ALREADY_CREATED"],
  "an edit of what never was": [{ ...op, d: "nobody", v: 0, seq: 1, op: [] }, "ERR_DOC_DOES_NOT_EXIST"],
  "an edit of what is deleted": [{ ...op, d: "cat", v: 2, seq: 1, op: [] }, "ERR_DOC_DOES_NOT_EXIST"],
  "an edit from before a deletion": [{ ...op, d: "cat", v: 1, seq: 1, op: [{ p: ["n"], na: 1 }] }, "ERR_DOC_WAS_DELETED"],
  "an unknown type": [{ ...op, d: "new", v: null, seq: 1, create: { type: "http://example.org/none", data: 1 } }, "any"],
  "a creation without type": [{ ...op, d: "new", v: null, seq: 1, create: { data: 1 } }, "ERR_OT_OP_BADLY_FORMED"],
  "a json0 operation that does not fit": [{ ...op, v: 2, seq: 1, op: [{ p: ["n", 0], li: 1 }] }, "ERR_OT_OP_NOT_APPLIED", /^Referenced element not a list/],
  "a json0 path into a prototype": [{ ...op, v: 2, seq: 1, op: [{ p: ["n", "__proto__"], oi: 1 }] }, "ERR_OT_OP_NOT_APPLIED", /^Invalid path segment$/],
  "a text operation beyond the end": [{ ...op, d: "text", v: 1, seq: 1, op: [9, "x"] }, "ERR_OT_OP_NOT_APPLIED"],
  "the past of nothing": [{ a: "nf", id: 9, c: "dogs", d: "rex", v: 99 }, "any"],
  "a presence without id": [{ a: "p", ch: "room", p: {}, pv: 0 }, "ERR_MESSAGE_BADLY_FORMED", /^Invalid presence ID$/],
  "a presence channel with a dangerous name": [{ a: "ps", ch: "__proto__", seq: 1 }, "ERR_MESSAGE_BADLY_FORMED", /^Invalid presence channel$/],
  "a presence in json0": [{ a: "p", ch: "dogs.rex", id: "1", p: { at: 1 }, pv: 0, c: "dogs", d: "rex", v: 1, t: json0 }, "ERR_TYPE_DOES_NOT_SUPPORT_PRESENCE"],
};

for (const kind of kinds) {
  const begin = async (t: TestContext): Promise<Client> => {
    const server: Server = await kind.start();
    t.after(() => server.close());
    const ada = new Client(server);
    t.after(() => ada.close());
    await ada.create(ada.get("rex", "dogs"), { n: 1 });
    await ada.submit(ada.get("rex", "dogs"), [{ p: ["n"], na: 1 }]);
    await ada.create(ada.get("cat", "dogs"), { n: 1 });
    await ada.del(ada.get("cat", "dogs"));
    await ada.create(ada.get("text", "dogs"), "🙂", types.textUnicode);
    return ada;
  };

  test(`${kind.name}: what is refused comes back with its error`, async (t) => {
    await begin(t).then(async (ada) => {
      let seq = 1000;
      for (const [name, [message, code, words]] of Object.entries(refused)) {
        const asked = message.seq === 1 && message.a === "op" ? { ...message, seq: seq++ } : message;
        const answer = await ada.exchange(asked, ({ a }) => a === asked.a);
        assert.ok(answer.error, `${name}: ${JSON.stringify(answer)}`);
        const { error, ...echo } = answer;
        if (code !== "any") assert.equal(error.code, code, `${name}: ${JSON.stringify(error)}`);
        assert.match(error.message, words ?? /./, name);
        // What a client finds the addressee by comes back.
        for (const field of ["c", "d", "id", "ch", "seq", "src"]) if (field in asked) assert.deepEqual(echo[field], asked[field], `${name}: ${field}`);
      }
      await ada.fetch(ada.get("rex", "dogs"));
      assert.deepEqual(ada.get("rex", "dogs").data, { n: 2 });
    });
  });

  test(`${kind.name}: the words of the protocol`, async (t) => {
    const ada = await begin(t);
    const id = ada.connection.id!;
    const answer = (message: any, a = message.a) => ada.exchange(message, (got) => got.a === a);
    assert.deepEqual(await answer({ a: "pp" }), { a: "pp" });
    assert.deepEqual(await answer({ a: "hs", id, protocol: 1, protocolMinor: 2 }), { a: "hs", protocol: 1, protocolMinor: 2, id, type: json0 });
    assert.deepEqual(await answer({ a: "f", c: "dogs", d: "rex", v: null }), { a: "f", c: "dogs", d: "rex", data: { v: 2, data: { n: 2 } } });
    assert.deepEqual(await answer({ a: "f", c: "dogs", d: "cat" }), { a: "f", c: "dogs", d: "cat", data: { v: 2, type: null } });
    assert.deepEqual(await answer({ a: "f", c: "dogs", d: "nobody" }), { a: "f", c: "dogs", d: "nobody", data: { v: 0, type: null } });
    assert.deepEqual(await answer({ a: "f", c: "dogs", d: "text", v: null }), { a: "f", c: "dogs", d: "text", data: { v: 1, data: "🙂", type: types.textUnicode.uri } });
    assert.deepEqual(await answer({ a: "f", c: "dogs", d: "rex", v: 2 }), { a: "f", c: "dogs", d: "rex" });
    assert.deepEqual(await answer({ a: "u", c: "dogs", d: "rex" }), { a: "u", c: "dogs", d: "rex" });
    assert.deepEqual(await answer({ a: "bf", c: "dogs", b: ["rex", "cat"] }), { a: "bf", c: "dogs", data: { rex: { v: 2, data: { n: 2 } }, cat: { v: 2, type: null } } });
    assert.deepEqual(await answer({ a: "bs", c: "dogs", b: { rex: 2, cat: 2 } }), { a: "bs", c: "dogs", b: { rex: 2, cat: 2 } });
    assert.deepEqual(await answer({ a: "bu", c: "dogs", b: ["rex", "cat"] }), { a: "bu", c: "dogs", b: ["rex", "cat"] });
    assert.deepEqual(await answer({ a: "nf", id: 1, c: "dogs", d: "rex", v: 1 }), { a: "nf", id: 1, v: 1, type: json0, data: { n: 1 }, m: null });
    assert.deepEqual(await answer({ a: "nf", id: 2, c: "dogs", d: "cat", v: null }), { a: "nf", id: 2, v: 2, type: null, m: null });
    assert.deepEqual(await answer({ a: "nt", id: 3, c: "dogs", d: "rex", ts: 1000 }), { a: "nt", id: 3, v: 0, type: null, m: null });
    assert.deepEqual(await answer({ a: "qu", id: 5 }), { a: "qu", id: 5 });
    assert.deepEqual(await answer({ a: "ps", ch: "room", seq: 1 }), { a: "ps", ch: "room", seq: 1 });
    assert.deepEqual(await answer({ a: "p", ch: "room", id: "m", p: { x: 1 }, pv: 0 }), { a: "p", ch: "room", src: id, id: "m", p: { x: 1 }, pv: 0 });
    assert.deepEqual(await answer({ a: "pu", ch: "room", seq: 2 }), { a: "pu", ch: "room", seq: 2 });
    const ops: any[] = [];
    ada.connection.on("receive" as never, (({ data }: any) => void (data.a === "op" && ops.push(data))) as never);
    await answer({ a: "f", c: "dogs", d: "cat", v: 0 });
    const [create, del] = ops;
    assert.deepEqual(create, { a: "op", c: "dogs", d: "cat", v: 0, src: id, seq: create.seq, create: { type: json0, data: { n: 1 } } });
    assert.deepEqual(del, { a: "op", c: "dogs", d: "cat", v: 1, src: id, seq: create.seq + 1, del: true });
  });

  test(`${kind.name}: two delete the same: what became nothing is committed all the same`, async (t) => {
    const ada = await begin(t);
    const first = await ada.exchange({ ...op, v: 2, seq: 501, op: [{ p: ["n"], od: 2 }] }, ({ a, seq }) => a === "op" && seq === 501);
    const second = await ada.exchange({ ...op, v: 2, seq: 502, op: [{ p: ["n"], od: 2 }] }, ({ a, seq }) => a === "op" && seq === 502);
    assert.deepEqual([first.v, second.v, second.error], [2, 3, undefined]);
    assert.equal((await ada.snapshot("rex", null, "dogs")).v, 4);
    // A deletion over a deletion is one more version, too.
    const third = await ada.exchange({ ...op, d: "text", v: 1, seq: 503, del: true }, ({ a, seq }) => a === "op" && seq === 503);
    const fourth = await ada.exchange({ ...op, d: "text", v: 1, seq: 504, del: true }, ({ a, seq }) => a === "op" && seq === 504);
    assert.deepEqual([third.v, fourth.v, fourth.error], [1, 2, undefined]);
    assert.equal((await ada.snapshot("text", null, "dogs")).v, 3);
  });
}
