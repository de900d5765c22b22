/**
 * Names a pickle may mention. Nothing is ever imported or called, whatever the name: an unknown class only
 * becomes an object without content. Yet a file that names a function which runs code, or one that touches files,
 * processes or the network, is no checkpoint but an attack on whoever opens it with another program, and is
 * refused. `torch.load(weights_only=True)` refuses it too.
 */

/** Of Python's builtins everything is refused but these types, and `getattr`, which mmengine's logs name. */
const inertBuiltins: ReadonlySet<string> = new Set(
  'set frozenset list dict tuple int float complex bool str bytes bytearray slice range object Ellipsis NotImplemented getattr long unicode'.split(
    ' ',
  ),
);

/** Modules whose functions act: any name in or under them is refused. */
const actingModules: readonly string[] = `
  _io _pickle aiohttp asyncio atexit bdb cProfile cloudpickle code codeop commands concurrent
  ctypes dill distutils ensurepip ftplib functools gc http httplib idlelib imaplib imp importlib
  inspect io joblib lib2to3 linecache logging.config marshal mmap multiprocessing nt ntpath
  numpy.f2py numpy.testing operator os pdb pickle pickletools pip pkgutil popen2 posix posixpath
  pty pydoc requests runpy setuptools shelve shutil signal smtplib socket sqlite3 ssl subprocess
  sys tempfile threading timeit torch.hub torch.jit torch.load torch.multiprocessing torch.ops
  torch.package torch.serialization.load torch.storage._load_from_bytes torch.utils.cpp_extension
  types.CodeType types.FunctionType unittest urllib urllib2 venv webbrowser xmlrpc zipimport
`
  .trim()
  .split(/\s+/);

/** Whether a dotted name stands for code that acts. */
export function namesCode(name: string): boolean {
  const builtin = /^(?:builtins|__builtin__)\.(.*)$/s.exec(name)?.[1];
  if (builtin !== undefined) return !inertBuiltins.has(builtin);
  return actingModules.some((module) => name === module || name.startsWith(`${module}.`));
}
