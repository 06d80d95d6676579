// The modes in which the attacks are tried, and what each of them cannot stop.

/** When a script comes: before the library is loaded, before somebody signs in, or once somebody is signed in. */
export const EARLY = "before the library is loaded";
export const BEFORE = "before the sign-in";
export const AFTER = "after the sign-in";

/**
 * `options`: of `TokenWard.create()`. `beyond`: what scripts find all the same, by when they come and by their names. It is
 * exact: what is found no more has to be taken out. SECURITY.md says the same in words.
 */
export const modes = {
  page: {
    options: {},
    beyond: {
      [EARLY]: {
        "fetch is replaced": { finds: ["access", "id", "refresh"], because: "the built-ins are those of the script" },
        "JSON": { finds: ["access", "id", "refresh"], because: "the built-ins are those of the script" },
        "the constructors of WebAssembly are replaced": {
          finds: ["access", "id", "refresh"],
          because: "the memory that holds the tokens is the script's",
        },
      },
      [BEFORE]: {
        "fetch is replaced": { finds: ["access"], because: "install() wraps the fetch that is there" },
      },
      [AFTER]: {},
    },
  },
};
