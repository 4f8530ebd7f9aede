import { text, type AnyType, type Clock, type Socket } from "../index.js";
import type { Random } from "./random.js";
import { Server, type ServerSide } from "./server.js";

interface Timer {
  at: number;
  run: () => void;
}

/** A clock that moves only when told to. */
export class TestClock implements Clock {
  time = 0;
  readonly timers = new Set<Timer>();

  constructor(readonly random: () => number) {}

  now(): number {
    return this.time;
  }

  after(ms: number, run: () => void): unknown {
    const timer = { at: this.time + ms, run };
    this.timers.add(timer);
    return timer;
  }

  cancel(timer: unknown): void {
    this.timers.delete(timer as Timer);
  }

  /** Moves on by `ms`, running what falls due in order. */
  advance(ms: number): void {
    const until = this.time + ms;
    for (;;) {
      const next = [...this.timers].filter((timer) => timer.at <= until).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.timers.delete(next);
      this.time = Math.max(this.time, next.at);
      next.run();
    }
    this.time = until;
  }
}

/** One WebSocket, with what is on its way in either direction. */
export class Wire implements Socket, ServerSide {
  onmessage: Socket["onmessage"] = null;
  onclose: Socket["onclose"] = null;
  onerror: Socket["onerror"] = null;
  readonly up: string[] = [];
  readonly down: string[] = [];
  open = true;

  constructor(
    readonly server: Server,
    readonly protocols: readonly string[] = [],
  ) {}

  /** The client sends. */
  send(data: unknown): void {
    if (typeof data === "string") this.up.push(data);
    else this.down.push(JSON.stringify(data));
  }

  /** The client closes. */
  close(): void {
    this.open = false;
    this.server.drop(this);
  }

  /** One message arrives at the server, or at the client. Reports whether there was one. */
  moveUp(): boolean {
    const data = this.open ? this.up.shift() : undefined;
    if (data !== undefined) this.server.receive(this, JSON.parse(data));
    return data !== undefined;
  }

  moveDown(): boolean {
    const data = this.open ? this.down.shift() : undefined;
    if (data !== undefined) this.onmessage?.({ data });
    return data !== undefined;
  }

  /** The server ends the connection, because it does not know who this is. */
  refuse(reason: string): void {
    this.down.push(JSON.stringify({ t: "error", code: "unauthenticated", class: "fatal", message: reason }));
    while (this.moveDown());
    this.open = false;
    this.server.drop(this);
    this.onclose?.({ code: 4401, reason: "say who you are" });
  }

  /** The network breaks: some of what is on its way still arrives at the server. */
  cut(rnd: Random): void {
    if (!this.open) return;
    for (let n = rnd.int(this.up.length + 1); n > 0; n--) this.moveUp();
    this.open = false;
    this.server.drop(this);
    this.onclose?.({ code: 1006, reason: "" });
  }
}

/** A server, its wires and a clock: everything moves only when told to. */
export class World {
  readonly clock: TestClock;
  readonly wires: Wire[] = [];
  readonly server: Server;
  /** While true, nobody gets a connection. */
  down = false;
  #clients = 0;

  constructor(
    readonly rnd: Random,
    content: unknown = "",
    type: AnyType = text,
  ) {
    this.clock = new TestClock(rnd);
    this.server = new Server(rnd, type, content);
  }

  /** Options for a Connection in this world. */
  get connection() {
    const world = this;
    return {
      url: "ws://model/ws",
      clock: this.clock,
      newClient: () => `client${++this.#clients}`.padEnd(8, "_"),
      WebSocket: class extends Wire {
        constructor(_url: string, protocols: string[]) {
          super(world.server, protocols);
          world.wires.push(this);
          if (world.down) world.clock.after(1, () => this.cut(world.rnd));
          else world.server.greet(this);
        }
      },
    };
  }

  /** Lets one thing happen, chosen at random. */
  step(): void {
    const wires = this.wires.filter((wire) => wire.open);
    const wire = wires[this.rnd.int(Math.max(1, wires.length))];
    const dice = this.rnd.int(10);
    if (dice < 3) wire?.moveUp();
    else if (dice < 6) wire?.moveDown();
    else if (dice < 7) this.server.commit();
    else if (dice < 9) this.server.deliver();
    else this.clock.advance(this.rnd.int(50));
  }

  /** Lets everything on its way arrive, over two minutes: longer than any wait of a client. */
  settle(): void {
    for (let second = 0; second < 120; second++) {
      this.clock.advance(1000);
      for (let moved = true; moved; ) {
        moved = this.wires.reduce((any, wire) => wire.moveUp() || wire.moveDown() || any, false);
        if (this.server.saved) this.server.commit();
        for (; !this.server.quiet; moved = true) this.server.deliver();
      }
    }
  }
}
