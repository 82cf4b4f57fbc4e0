'use strict';

/* Finding and loading the addon, and `libfarebox.so` through it: once a process, by absolute path, on first use. */

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const FILE_NAME = 'libfarebox.so';
const project = path.dirname(__dirname);
const addon = path.join(project, 'build', 'farebox.node');

let loaded;

function libraryError(message) {
  return Object.assign(new Error(message), { code: 'ERR_FAREBOX_LIBRARY' });
}

function find() {
  const tried = [];
  const named = process.env.FAREBOX_LIB;
  if (named) {
    const place = path.resolve(named.replace(/^~(?=\/|$)/, os.homedir()));
    const folder = fs.statSync(place, { throwIfNoEntry: false })?.isDirectory();
    tried.push(folder ? path.join(place, FILE_NAME) : place);
  } else {
    tried.push(path.join(__dirname, FILE_NAME));
    const root = path.resolve(project, '..', '..');
    if (fs.existsSync(path.join(root, 'Include', 'farebox.h'))) {
      tried.push(path.join(root, '.build', 'release', FILE_NAME));
    }
  }
  const found = tried.find((file) => fs.statSync(file, { throwIfNoEntry: false })?.isFile());
  if (found === undefined) {
    const places = tried.join(' or ');
    throw libraryError(`no ${FILE_NAME} at ${places}; set FAREBOX_LIB to the file or its directory`);
  }
  return found;
}

/** Gives the addon, its library loaded. Throws where there is no addon, no library, or one of another version. */
function native() {
  if (loaded === undefined) {
    if (!fs.existsSync(addon)) {
      throw libraryError(`the addon is not built: node ${path.join(project, 'scripts', 'build.js')}`);
    }
    const functions = require(addon);
    loaded = { functions, library: functions.load(find()) };
    // The module needs this one, so it is looked up when the first question comes.
    functions.setPayerAsker((tool, args) => require('./payers').payerOf(tool, args));
  }
  return loaded.functions;
}

/** Returns the absolute path of the library that is loaded, loading it on the first call. */
function libraryPath() {
  native();
  return loaded.library.path;
}

module.exports = { FILE_NAME, libraryPath, native };
