//! Compiled code, kept from one start to the next.
//!
//! Loading compiled code runs whatever is in it, so a folder or file that anyone else could have written is never used,
//! and a digest in front of the code tells a damaged file. Trouble with the cache costs a compilation, never the start.

use std::{
    hash::{Hash, Hasher},
    path::PathBuf,
};

use sha2::{Digest, Sha256};
use wasmtime::{Engine, component::Component};

use crate::config::CodeCache;

const DIGEST_BYTES: usize = 32;

/// How a component was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was compiled before.
    Loaded,
    /// It was compiled, and is kept.
    Compiled,
    /// It was compiled, and nothing is kept.
    InMemory,
}

/// The component, loaded where it was compiled before, else compiled and kept.
pub(crate) fn component(engine: &Engine, bytes: &[u8], cache: &CodeCache) -> wasmtime::Result<(Component, Origin)> {
    let in_memory = || Ok((Component::new(engine, bytes)?, Origin::InMemory));
    let Some(folder) = folder(cache) else {
        return in_memory();
    };
    let name = format!("{}.cwasm", key(engine, bytes));
    match files::read(&folder, &name) {
        Ok(Some(file)) => match load(engine, &file) {
            Some(component) => return Ok((component, Origin::Loaded)),
            None => {
                tracing::warn!(folder = %folder.display(), file = %name, "compiled code is damaged: compiling again")
            }
        },
        Ok(None) => {}
        Err(error) => {
            tracing::warn!(folder = %folder.display(), %error, "compiled code is not kept: compiling in memory");
            return in_memory();
        }
    }
    let component = Component::new(engine, bytes)?;
    let code = component.serialize()?;
    let mut file = Sha256::digest(&code).to_vec();
    file.extend_from_slice(&code);
    if let Err(error) = files::write(&folder, &name, &file) {
        tracing::warn!(folder = %folder.display(), %error, "compiled code cannot be kept");
        return Ok((component, Origin::InMemory));
    }
    Ok((component, Origin::Compiled))
}

fn load(engine: &Engine, file: &[u8]) -> Option<Component> {
    let (digest, code) = file.split_at_checked(DIGEST_BYTES)?;
    if Sha256::digest(code).as_slice() != digest {
        return None;
    }
    // SAFETY: the bytes were read from a file that only this user can write, in a folder that only this user can write,
    // and are, by their digest, what this program wrote there: the output of `Component::serialize`. Its engine's
    // version and settings are part of the name, and wasmtime checks them again.
    #[allow(unsafe_code)]
    unsafe { Component::deserialize(engine, code) }.ok()
}

fn folder(cache: &CodeCache) -> Option<PathBuf> {
    match cache {
        CodeCache::None => None,
        CodeCache::Folder(folder) => Some(folder.clone()),
        CodeCache::User => {
            let folders = directories::ProjectDirs::from("", "", "dataknobs-kv");
            if folders.is_none() {
                tracing::warn!("there is no cache folder for this user: compiling in memory");
            }
            Some(folders?.cache_dir().to_owned())
        }
    }
}

/// Names the component together with all that its compiled form depends on.
fn key(engine: &Engine, bytes: &[u8]) -> String {
    struct Digester(Sha256);
    impl Hasher for Digester {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut digester = Digester(Sha256::new());
    bytes.hash(&mut digester);
    engine.precompile_compatibility_hash().hash(&mut digester);
    digester.0.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(unix)]
mod files {
    use std::{
        fs::{self, DirBuilder, File, Metadata, OpenOptions},
        io::{self, Read, Write},
        os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
        path::Path,
    };

    /// The file's bytes; none where there is no such file. The folder is made where it does not exist.
    pub(super) fn read(folder: &Path, name: &str) -> io::Result<Option<Vec<u8>>> {
        if !folder.exists() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        ours("folder", &fs::metadata(folder)?)?;
        let flags = rustix::fs::OFlags::NOFOLLOW.bits();
        let mut file = match OpenOptions::new().read(true).custom_flags(flags as i32).open(folder.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // Of the open file, not of the name: what is behind the name may change in between.
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("the file is no regular file"));
        }
        ours("file", &metadata)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Under another name first: a reader, or a second process that writes the same, sees all of it or nothing.
    pub(super) fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
        let temporary = folder.join(format!("{name}.{:016x}", rand::random::<u64>()));
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .and_then(|mut file: File| file.write_all(bytes))
            .and_then(|()| fs::rename(&temporary, folder.join(name)));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    fn ours(what: &str, metadata: &Metadata) -> io::Result<()> {
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(io::Error::other(format!("the {what} belongs to another user")));
        }
        if metadata.mode() & 0o022 != 0 {
            return Err(io::Error::other(format!("other users may write the {what}")));
        }
        Ok(())
    }
}

/// Where it cannot be told who may write a file, nothing is kept.
#[cfg(not(unix))]
mod files {
    use std::{io, path::Path};

    pub(super) fn read(_folder: &Path, _name: &str) -> io::Result<Option<Vec<u8>>> {
        Err(io::Error::other("it cannot be told who may write there on this system"))
    }

    pub(super) fn write(_folder: &Path, _name: &str, _bytes: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt,
        path::Path,
    };

    use super::*;
    use crate::{COMPONENT, RuntimeConfig};

    fn start(folder: &Path) -> Origin {
        let engine = crate::engine::engine(&RuntimeConfig { instances: 1, ..RuntimeConfig::default() }).unwrap();
        component(&engine, COMPONENT, &CodeCache::Folder(folder.to_owned())).unwrap().1
    }

    fn file(folder: &Path) -> PathBuf {
        let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files.remove(0)
    }

    fn allow(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_second_start_loads_and_damage_is_mended() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("made/when/needed");
        assert_eq!(start(&folder), Origin::Compiled);
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(start(&folder), Origin::Loaded);

        let file = file(&folder);
        let good = fs::read(&file).unwrap();
        let mut changed = good.clone();
        *changed.last_mut().unwrap() ^= 1;
        for damaged in [&good[..good.len() / 2], &changed, b""] {
            fs::write(&file, damaged).unwrap();
            assert_eq!(start(&folder), Origin::Compiled);
            assert_eq!(start(&folder), Origin::Loaded);
        }
    }

    #[test]
    fn what_others_may_write_is_never_loaded() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(start(folder.path()), Origin::Compiled);
        let file = file(folder.path());
        for mode in [0o602, 0o620] {
            allow(&file, mode);
            assert_eq!(start(folder.path()), Origin::InMemory);
        }
        allow(&file, 0o644);
        assert_eq!(start(folder.path()), Origin::Loaded);
        for mode in [0o702, 0o720] {
            allow(folder.path(), mode);
            assert_eq!(start(folder.path()), Origin::InMemory);
        }
        allow(folder.path(), 0o755);
        assert_eq!(start(folder.path()), Origin::Loaded);
    }

    #[test]
    fn a_link_or_a_folder_in_the_files_place_is_never_loaded() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(start(folder.path()), Origin::Compiled);
        let file = file(folder.path());
        let elsewhere = tempfile::tempdir().unwrap();
        fs::rename(&file, elsewhere.path().join("code")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path().join("code"), &file).unwrap();
        assert_eq!(start(folder.path()), Origin::InMemory);
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert_eq!(start(folder.path()), Origin::InMemory);
    }

    #[test]
    fn no_place_to_keep_it_is_no_reason_not_to_start() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a file");
        fs::write(&file, "").unwrap();
        assert_eq!(start(&file), Origin::InMemory);
        assert_eq!(start(&file.join("below")), Origin::InMemory);
    }
}
