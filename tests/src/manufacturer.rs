//! A manufacturer that puts certificates into its devices, by the openssl program.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// Its root, a CA of its line below it, and folders of devices.
pub struct Manufacturer(TempDir);

impl Manufacturer {
    /// With CAs of these common names.
    pub fn new(root: &str, line: &str) -> Manufacturer {
        let maker = Manufacturer(tempfile::tempdir().unwrap());
        let ca = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n";
        maker.sign("root", &format!("/O=works/CN={root}"), None, ca, "");
        maker.sign("line", &format!("/O=works/CN={line}"), Some("root"), ca, "");
        maker
    }

    /// Its root, PEM.
    pub fn ca(&self) -> PathBuf {
        self.0.path().join("root/certificate.pem")
    }

    /// A device's folder: `certificate.pem` with the line's CA, and `key.pem`.
    pub fn device(&self, serial_number: &str) -> PathBuf {
        let leaf = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n";
        let subject = format!("/O=works/CN=Pump/serialNumber={serial_number}");
        self.leaf(serial_number, &subject, leaf, "")
    }

    /// A certificate with extensions of one's choosing, numbered so (hex, or anyhow).
    pub fn leaf(&self, name: &str, subject: &str, extensions: &str, serial: &str) -> PathBuf {
        self.sign(name, subject, Some("line"), extensions, serial);
        let folder = self.0.path().join(name);
        let line = fs::read_to_string(self.0.path().join("line/certificate.pem")).unwrap();
        let own = fs::read_to_string(folder.join("certificate.pem")).unwrap();
        fs::write(folder.join("certificate.pem"), own + &line).unwrap();
        folder
    }

    /// All its CAs, PEM: those between its root and its devices too.
    pub fn all_cas(&self) -> PathBuf {
        sh(
            self.0.path(),
            "cat root/certificate.pem line/certificate.pem > all.pem",
        );
        self.0.path().join("all.pem")
    }

    /// The line's revocation list of this number (hex), which names these devices' certificates.
    pub fn list(&self, number: &str, devices: &[&str]) -> PathBuf {
        let mut script = format!(
            "printf '[ca]\\ndefault_ca=line\\n[line]\\ndatabase=index\\ncrlnumber=number\\ndefault_md=sha256\\n' > ca.cnf
             echo 'default_crl_days=30' >> ca.cnf
             : > index; echo {number} > number\n"
        );
        let by = "openssl ca -config ca.cnf -keyfile line/key.pem -cert line/certificate.pem";
        for device in devices {
            script += &format!("{by} -revoke {device}/certificate.pem\n");
        }
        sh(
            self.0.path(),
            &format!("{script}{by} -gencrl -out list-{number}.pem"),
        );
        self.0.path().join(format!("list-{number}.pem"))
    }

    fn sign(&self, name: &str, subject: &str, by: Option<&str>, extensions: &str, serial: &str) {
        let folder = self.0.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("extensions"), extensions).unwrap();
        let serial = match serial {
            "" => "-CAcreateserial".to_owned(),
            hex => format!("-set_serial 0x{hex}"),
        };
        let signing = match by {
            Some(by) => format!("-CA ../{by}/certificate.pem -CAkey ../{by}/key.pem {serial}"),
            None => "-signkey key.pem".to_owned(),
        };
        // As long as openssl counts days: an IDevID has no end.
        let script = format!(
            "umask 077
             openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -subj '{subject}' -out csr.pem
             openssl x509 -req -in csr.pem -days 36500 -extfile extensions {signing} -out certificate.pem"
        );
        sh(&folder, &script);
    }
}

fn sh(folder: &Path, script: &str) {
    let output = Command::new("sh")
        .args(["-ec", script])
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {said}");
}
