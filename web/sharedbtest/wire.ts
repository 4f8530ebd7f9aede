// What lies between a client and its server: a WebSocket that can hold messages back,
// lose them, and break.

import { WebSocket } from "ws";

/** A socket as ShareDB's Connection wants it, over a real WebSocket. */
export class Wire {
  readyState = 0;
  onopen: () => void = () => {};
  onmessage: (event: { data: string }) => void = () => {};
  onclose: (reason?: unknown) => void = () => {};
  onerror: (error: unknown) => void = () => {};
  readonly #socket: WebSocket;
  #up: string[] | undefined;
  #down: string[] | undefined;

  constructor(url: string, protocols: string[] = []) {
    const socket = new WebSocket(url, protocols, {
      perMessageDeflate: false,
      allowSynchronousEvents: false, // each message by itself, as in a browser
    });
    this.#socket = socket;
    socket.on("open", () => {
      if (this.readyState !== 0) return;
      this.opened();
    });
    socket.on("message", (data) => {
      if (this.readyState !== 1) return;
      if (this.#down) this.#down.push(String(data));
      else this.arrived(String(data));
    });
    socket.on("error", (error) => this.readyState < 2 && this.onerror(error));
    socket.on("close", () => this.#ended("broken"));
  }

  /** Tells the client that it may send. */
  protected opened(): void {
    this.readyState = 1;
    this.onopen();
  }

  /** Hands a message to the client. */
  protected arrived(data: string): void {
    this.onmessage({ data });
  }

  send(data: string): void {
    if (this.readyState !== 1) return;
    if (this.#up) this.#up.push(data);
    else this.#socket.send(data);
  }

  /** Ends the connection from the client's side; what was sent still arrives. */
  close(reason: unknown = "closed"): void {
    if (this.readyState === 3) return;
    if (this.#socket.readyState === WebSocket.CONNECTING) this.#socket.terminate();
    else this.#socket.close();
    this.#ended(reason);
  }

  /** From now on, keeps what the client sends (up) or what the server sends (down). */
  hold(direction: "up" | "down"): void {
    if (direction === "up") this.#up ??= [];
    else this.#down ??= [];
  }

  /** Lets everything through that was held, in order, and holds nothing any more. */
  release(): void {
    const [up, down] = [this.#up ?? [], this.#down ?? []];
    this.#up = this.#down = undefined;
    for (const data of up) this.send(data);
    for (const data of down) if (this.readyState === 1) this.arrived(data);
  }

  /** Breaks the connection. What is held is lost, and what is on the way may be. */
  cut(): void {
    this.#socket.terminate();
    this.#ended("broken");
  }

  #ended(reason: unknown): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onclose(reason);
  }
}
