/** Messages in order, for a thread that asks for them one at a time. */
export interface MessageQueue<T> {
  readonly push: (message: T) => void;
  readonly next: () => Promise<T>;
}

export function messageQueue<T>(): MessageQueue<T> {
  const waiting: T[] = [];
  let wake: ((message: T) => void) | undefined;
  return {
    push: (message) => {
      if (wake === undefined) {
        waiting.push(message);
        return;
      }
      wake(message);
      wake = undefined;
    },
    next: () => {
      const message = waiting.shift();
      if (message !== undefined) return Promise.resolve(message);
      return new Promise((resolve) => {
        wake = resolve;
      });
    },
  };
}
