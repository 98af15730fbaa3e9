//! Users and rights of files: PostgreSQL does not run as root.

use std::path::Path;
use std::process::Command;

use super::quietly;
use crate::Result;

/// A user that a server runs as.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    user: u32,
    group: u32,
}

impl Owner {
    /// The user of this name, if there is one.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let id = |option: &str| quietly(Command::new("id").args([option, name])).ok()?.trim().parse().ok();
        Some(Self { user: id("-u")?, group: id("-g")? })
    }

    /// The program will run as this user.
    #[cfg(unix)]
    pub(crate) fn run(&self, command: &mut Command) {
        use std::os::unix::process::CommandExt;
        command.uid(self.user).gid(self.group);
    }

    /// The file becomes this user's.
    #[cfg(unix)]
    pub(crate) fn give(&self, path: &Path) -> Result {
        let given = std::os::unix::fs::chown(path, Some(self.user), Some(self.group));
        given.map_err(|e| format!("cannot give {} to user {}: {e}", path.display(), self.user))
    }

    /// There is no other user to run as.
    #[cfg(not(unix))]
    pub(crate) fn run(&self, _command: &mut Command) {}

    /// There is no other user to give to.
    #[cfg(not(unix))]
    pub(crate) fn give(&self, path: &Path) -> Result {
        Err(format!("cannot give {} to user {} of group {}", path.display(), self.user, self.group))
    }
}

/// Other users may pass through the folder, and not look into it.
#[cfg(unix)]
pub(crate) fn let_pass(folder: &Path) -> Result {
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o711);
    std::fs::set_permissions(folder, permissions).map_err(|e| format!("cannot open {}: {e}", folder.display()))
}

/// Nothing to do.
#[cfg(not(unix))]
pub(crate) fn let_pass(_folder: &Path) -> Result {
    Ok(())
}
