import { Backoff, type Clock } from "./clock.js";

/** A token, or what gets one. */
export type TokenSource = string | (() => Promise<string>);

/** Begins the entry of the list of subprotocols that holds a token (section 1 of docs/protocol.md). */
export const tokenProtocol = "quire.token.";

/** Milliseconds before the end of a token at which another is asked for; at half of its time when that is less than twice this. */
const ahead = 30_000;

/** The longest wait in milliseconds that browsers' timers know. */
const longest = 2 ** 31 - 1;

/** The token of a connection, and when to get another. */
export class Credential {
  readonly #source: TokenSource | undefined;
  readonly #clock: Clock;
  readonly #renew: (token: string) => void;
  readonly #backoff: Backoff;
  #token: string | undefined; // from the source, to connect with again
  #goodUntil = Infinity; // by the clock, as far as the server has said
  #fresh = false; // it was asked for to connect with, and the server has not accepted it yet
  #timer: unknown;
  #asked = 0; // counts renewals, so that a token that comes too late for one is of no effect

  /** `renew` is given a token to tell the server on the connection there is. */
  constructor(source: TokenSource | undefined, clock: Clock, renew: (token: string) => void) {
    this.#source = source;
    this.#clock = clock;
    this.#renew = renew;
    this.#backoff = new Backoff(clock, 1_000, ahead);
  }

  /** Returns the token to connect with, or none. */
  take(): string | undefined | Promise<string> {
    if (typeof this.#source !== "function") return this.#source;
    if (this.#token !== undefined && this.#clock.now() < this.#goodUntil) return this.#token;
    this.#fresh = true;
    return this.#get(this.#source);
  }

  /** The server has accepted it, for so many milliseconds; for ever when undefined. */
  accepted(ms: number | undefined): void {
    this.#fresh = false;
    this.#backoff.reset();
    this.#goodUntil = ms === undefined ? Infinity : this.#clock.now() + ms;
    this.pause();
    if (ms !== undefined) this.#renewIn(ms > 2 * ahead ? ms - ahead : ms / 2);
  }

  /** The server has refused it. Reports whether the source may have another. */
  refused(): boolean {
    const another = typeof this.#source === "function" && !this.#fresh;
    this.#token = undefined;
    return another;
  }

  /** There is no connection to renew it on. */
  pause(): void {
    this.#asked++;
    this.#clock.cancel(this.#timer);
    this.#timer = undefined;
  }

  async #get(source: () => Promise<string>): Promise<string> {
    this.#token = await source();
    this.#goodUntil = Infinity;
    return this.#token;
  }

  #renewIn(ms: number): void {
    const source = this.#source;
    if (typeof source !== "function") return;
    this.#timer = this.#clock.after(Math.min(ms, longest), () => {
      const asked = ++this.#asked;
      const inTime = (act: () => void) => asked === this.#asked && act();
      this.#get(source).then(
        (token) => inTime(() => this.#renew(token)),
        () => inTime(() => this.#renewIn(this.#backoff.next())), // until the server ends the connection
      );
    });
  }
}
