//! `tern net`: a file's network made, listed, used and removed by the binary.

use std::process::Command;

use tempfile::TempDir;

use crate::world::TERN;

/// A network of this process's own, removed when dropped.
struct Lab {
    directory: TempDir,
    name: String,
}

impl Lab {
    fn new() -> Self {
        let lab = Self {
            directory: TempDir::new().expect("a directory"),
            name: format!("c{}", std::process::id()),
        };
        let text = format!(
            "name: {}
tenants:
- name: red
  networks: [{{name: n2}}]
  endpoints:
  - {{name: amf, links: [{{network: n2, addresses: [10.99.2.1/24]}}]}}
  - {{name: gnb, count: 2, links: [{{network: n2, addresses: [10.99.2.11/24]}}]}}
",
            lab.name
        );
        std::fs::write(lab.file(), text).expect("the file is written");
        lab
    }

    fn file(&self) -> String {
        self.directory.path().join("lab.yaml").display().to_string()
    }

    /// Runs `tern net`: whether it succeeds, and what it says.
    fn net(&self, arguments: &[&str]) -> (bool, String) {
        let output = Command::new(TERN).arg("net").args(arguments).output().expect("tern runs");
        let said = String::from_utf8([output.stdout, output.stderr].concat()).expect("text");
        (output.status.success(), said)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.net(&["down", "--name", &self.name, "--kill"]);
    }
}

#[test]
fn a_network_is_planned_made_listed_used_and_removed() {
    if !rustix::process::geteuid().is_root() {
        println!(
            "SKIPPED tern net::a_network_is_planned_made_listed_used_and_removed: network namespaces need root"
        );
        return;
    }
    let lab = Lab::new();
    let file = lab.file();
    let net = |arguments: &[&str]| {
        let (success, said) = lab.net(arguments);
        assert!(success, "{arguments:?}: {said}");
        said
    };
    let plan = net(&["plan", &file]);
    assert!(plan.contains(&format!("+ namespace tern.{}.red.gnb-2\n", lab.name)), "{plan}");
    assert!(plan.ends_with("4 namespaces, 1 bridges and VXLANs, 3 pairs, 6 settings\n"), "{plan}");
    assert_eq!(net(&["list", &lab.name]), "");
    net(&["up", &file]);
    assert!(net(&["up", &file]).starts_with(&format!("{}: nothing to do (", lab.name)));
    assert_eq!(net(&["plan", &file]), "nothing to do\n");
    let list = net(&["list", &lab.name]);
    assert!(
        list.contains(&format!("tern.{}.red.gnb-2\n  n2 veth up mtu 1500 10.99.2.12/24\n", lab.name)),
        "{list}"
    );
    net(&["exec", &file, "red/gnb-2", "--", "ping", "-c", "1", "-W", "2", "10.99.2.1"]);
    let (success, said) = lab.net(&["exec", &file, "red/gnb-3", "--", "true"]);
    assert!(
        !success && said.contains("expected an endpoint of the file") && said.contains("`red/gnb-3`"),
        "{said}"
    );
    assert_eq!(net(&["down", &file]), format!("{}: 4 namespaces removed\n", lab.name));
    assert_eq!(net(&["list", &lab.name]), "");
}

#[test]
fn a_file_that_is_wrong_is_said_with_line_and_field() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("lab.yaml");
    std::fs::write(&file, "name: lab\ntenants:\n- {name: red, networks: [{name: N2}]}\n").unwrap();
    let output = Command::new(TERN).args(["net", "plan"]).arg(&file).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        said.contains("lab.yaml:3:") && said.contains("tenants[0].networks[0].name: expected a name"),
        "{said}"
    );
}
