declare const brand: unique symbol;

/** A nominal type: a `T` that only its checked constructor hands out. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };
