import type { Loader, LoaderStats } from '../../data/loader/loader.ts';

/** Keeps the loader, and with it the cache, for as long as the requests stay of one kind. */
export function keptLoader() {
  let last: { readonly key: string; readonly loader: Loader } | undefined;
  return {
    get: (key: string, make: () => Loader): Loader => {
      if (last?.key !== key) last = { key, loader: make() };
      return last.loader;
    },
    stats: (): LoaderStats | undefined => last?.loader.stats(),
  };
}
