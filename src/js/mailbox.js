import { Map, Promise } from "./natives.js";

/** Answers that come by number, before or after somebody asks for them. */
export class Mailbox {
  #slots = new Map();

  /** Resolves with what is delivered under this number. */
  collect(id) {
    return new Promise((resolve) => {
      const slot = this.#slots.get(id);
      if (slot) {
        this.#slots.delete(id);
        resolve(slot.value);
      } else {
        this.#slots.set(id, { resolve });
      }
    });
  }

  deliver(id, value) {
    const slot = this.#slots.get(id);
    if (slot) {
      this.#slots.delete(id);
      slot.resolve(value);
    } else {
      this.#slots.set(id, { value });
    }
  }

  /** Delivers only to somebody who waits. */
  interrupt(id, value) {
    if (this.#slots.has(id)) this.deliver(id, value);
  }

  /** Delivers to everybody who still waits. */
  deliverAll(value) {
    for (const { resolve } of this.#slots.values()) resolve?.(value);
    this.#slots.clear();
  }
}
