use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::process::Command;

use super::*;

fn made(at: &Path) -> Directory {
    Directory::open(at).unwrap()
}

fn beat() -> Key {
    Key::heartbeat(&"s1:1".parse().unwrap())
}

fn put(directory: &Directory, key: &Key) -> Result<Tried<Version>, StoreError> {
    let bytes = Bytes::from_static(b"1");
    directory.put(key, &bytes, &Expected::Absent)
}

fn make_pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

#[test]
fn a_directory_is_taken_where_only_its_owner_may_write() {
    let root = tempfile::tempdir().unwrap();
    made(root.path());
    for folder in [root.path().to_owned(), root.path().join(HEARTBEATS)] {
        for (mode, taken) in [
            (0o755, true),
            (0o750, true),
            (0o770, false),
            (0o720, false),
            (0o702, false),
            (0o700, true),
        ] {
            fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
            let opened = Directory::open(root.path());
            let refused = matches!(opened, Err(OpenError::Unprotected { .. }));
            assert_eq!((opened.is_ok(), refused), (taken, !taken), "{mode:o}");
        }
    }
}

#[test]
fn a_directory_of_somebody_else_is_refused_and_one_of_root_is_not() {
    assert!(is_trusted(1000, 1000) && is_trusted(ROOT, 1000));
    assert!(!is_trusted(1001, 1000) && !is_trusted(1000, ROOT));
    let root = tempfile::tempdir().unwrap();
    let own = own_user(root.path()).unwrap();
    ensure_ours(root.path(), own).unwrap();
    let refused = ensure_ours(root.path(), own + 1);
    assert_eq!(refused.is_err(), own != ROOT);
    // Only root can give it away.
    if chown(root.path(), Some(own + 1), None).is_ok() {
        let refused = Directory::open(root.path()).unwrap_err();
        assert!(
            matches!(refused, OpenError::ForeignOwner { .. }),
            "{refused}"
        );
    }
}

#[test]
fn a_folder_that_is_a_link_is_refused() {
    let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    symlink(other.path(), root.path().join(HEARTBEATS)).unwrap();
    let refused = Directory::open(root.path()).unwrap_err();
    assert!(matches!(refused, OpenError::Directory { .. }), "{refused}");
}

#[test]
fn links_and_pipes_are_not_read_and_not_written_through() {
    let root = tempfile::tempdir().unwrap();
    let elsewhere = root.path().join("elsewhere");
    let place = root.path().join("cluster.json");
    for strange in ["link", "pipe"] {
        let directory = made(root.path());
        fs::write(&elsewhere, "mine").unwrap();
        match strange {
            "link" => symlink(&elsewhere, &place).unwrap(),
            _ => make_pipe(&place),
        }
        let read = directory.read(&Key::cluster()).unwrap_err();
        assert!(matches!(read, StoreError::NoFile { .. }), "{read}");
        assert!(put(&directory, &Key::cluster()).is_err());
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "mine");
        fs::remove_file(&place).unwrap();
        let put = put(&directory, &Key::cluster());
        assert!(matches!(put, Ok(Tried::Done(_))));
        fs::remove_file(&place).unwrap();
    }
}

#[test]
fn a_lock_or_temporary_file_that_is_a_link_leads_nowhere() {
    let root = tempfile::tempdir().unwrap();
    let directory = made(root.path());
    let (elsewhere, place) = (
        root.path().join("elsewhere"),
        root.path().join("cluster.json"),
    );
    symlink(&elsewhere, beside(&place, "tmp")).unwrap();
    let done = put(&directory, &Key::cluster());
    assert!(matches!(done, Ok(Tried::Done(_))) && !elsewhere.exists());
    fs::remove_file(&place).unwrap();
    fs::remove_file(beside(&place, "lock")).unwrap();
    for there in [false, true] {
        if there {
            fs::write(&elsewhere, "mine").unwrap();
        }
        symlink(&elsewhere, beside(&place, "lock")).unwrap();
        assert!(put(&directory, &Key::cluster()).is_err());
        assert_eq!(elsewhere.exists(), there);
        fs::remove_file(beside(&place, "lock")).unwrap();
    }
    assert!(matches!(
        put(&directory, &Key::cluster()),
        Ok(Tried::Done(_))
    ));
}

#[test]
fn what_is_no_heartbeat_is_left_out_and_the_others_are_listed() {
    let root = tempfile::tempdir().unwrap();
    let directory = made(root.path());
    assert!(matches!(put(&directory, &beat()), Ok(Tried::Done(_))));
    let folder = root.path().join(HEARTBEATS);
    make_pipe(&folder.join("pipe:1.json"));
    symlink(root.path().join("elsewhere"), folder.join("link:1.json")).unwrap();
    let large = File::create(folder.join("large:1.json")).unwrap();
    large.set_len(beat().limit_bytes() + 1).unwrap();
    let listed = directory.heartbeats().unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0].0, beat());
    // As large as it may be, it is one.
    large.set_len(beat().limit_bytes()).unwrap();
    assert_eq!(directory.heartbeats().unwrap().len(), 2);
}
