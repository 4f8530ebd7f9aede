// ShareDB's tests of presence in documents use a type of their own, made of a text and of
// operations {index, value} and {index, del}. No server but theirs knows it. Here it goes
// over the wire as rich text, whose presence {index, length} is moved by the same rule.

const testType = "http://sharejs.org/types/presence-test-type";
const richText = "http://sharejs.org/types/rich-text/v1";

/** Returns a client's message with the test type replaced by rich text. */
export function dressed(message: any): any {
  const out = { ...message };
  if (out.create && /presence-test-type$/.test(out.create.type)) {
    out.create = { type: richText, data: { ops: out.create.data ? [{ insert: out.create.data }] : [] } };
  }
  if (out.op?.index !== undefined) {
    const { index, value, del } = out.op;
    out.op = [...(index ? [{ retain: index }] : []), value ? { insert: value } : { delete: del }];
  }
  if (out.a === "p") {
    if (out.t === testType) out.t = richText;
    if (typeof out.p?.index === "number") out.p = { ...out.p, length: 0 };
  }
  return out;
}

/** Returns a server's message with rich text replaced by the test type. */
export function undressed(message: any): any {
  const out = { ...message };
  if (out.create?.type === richText) out.create = { type: testType, data: text(out.create.data) };
  if (out.data?.type === richText) out.data = { ...out.data, type: testType, data: text(out.data.data) };
  const op = out.op?.ops ?? out.op;
  if (Array.isArray(op)) {
    const index = op[0]?.retain ?? 0;
    const { insert, delete: del } = op.at(-1) ?? {};
    out.op = insert ? { index, value: insert } : { index, del };
  }
  if (out.a === "p") {
    if (out.t === richText) out.t = testType;
    if (out.p) {
      const { length: _, ...p } = out.p;
      out.p = p;
    }
  }
  return out;
}

function text(data: any): string {
  return (data.ops ?? data).map(({ insert }: { insert: string }) => insert).join("");
}
