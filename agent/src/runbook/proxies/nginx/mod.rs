//! nginx: a file of ours in `/etc/nginx/conf.d`, other sites as they are. Its certificate comes by certbot, so the
//! file first answers the authority only, and has the site once there is a certificate.

mod include;
mod render;

use super::life::{take_up, told, unfit_domain};
use super::site_file::{Content, Folder, MARK};
use super::{Part, Proxy, Standing, Written, certbot};
use crate::host::{Command, HostError, Look, PortOwner, plain_line};
use crate::runbook::distro::Distro;
use crate::runbook::{ActCx, Cx, StepError, route};
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::site::{ProxyChoice, Site};
use render::{Shape, render};
use std::path::{Path, PathBuf};

const MAIN: &str = "/etc/nginx/nginx.conf";
const ENABLED: &str = "/etc/nginx/sites-enabled";
const SITES: Folder = Folder {
    path: "/etc/nginx/conf.d",
    begins: "chatalot-",
    ends: ".conf",
};
const UNIT: &str = "nginx.service";
/// There wherever the kernel has IPv6; listening on it elsewhere would keep nginx from starting.
const HAS_IPV6: &str = "/proc/net/if_inet6";

/// The row.
pub struct Nginx;

#[async_trait]
impl Proxy for Nginx {
    fn name(&self) -> &'static str {
        "nginx"
    }

    fn choice(&self) -> ProxyChoice {
        ProxyChoice::Nginx
    }

    fn parts(&self, distro: &Distro) -> Vec<Part> {
        vec![
            Part {
                program: "nginx",
                unit: UNIT,
                packages: distro.nginx,
            },
            Part {
                program: "certbot",
                unit: distro.certbot_timer,
                packages: distro.certbot,
            },
        ]
    }

    fn unit(&self) -> Option<&'static str> {
        Some(UNIT)
    }

    fn journal(&self) -> &'static str {
        "`tail -n 50 /var/log/nginx/error.log` and `journalctl -u nginx.service -n 50`"
    }

    fn server_header(&self) -> Option<&'static str> {
        // Only a module of its own could take the bare name away.
        Some("nginx")
    }

    fn by_certbot(&self) -> bool {
        true
    }

    async fn owns(&self, _cx: &Cx<'_>, owner: &PortOwner) -> Result<bool, StepError> {
        let unit = owner.unit.as_deref() == Some(UNIT);
        Ok(owner.container.is_none() && (unit || owner.process == "nginx"))
    }

    fn files(&self, site: &Site) -> Vec<PathBuf> {
        vec![
            SITES.file(&site.domain),
            PathBuf::from(certbot::HOOK),
            PathBuf::from(MAIN),
        ]
    }

    async fn detect(&self, cx: &Cx<'_>) -> Result<Standing, StepError> {
        let main = cx.host.read(Path::new(MAIN)).await?;
        let main = main.map(|text| String::from_utf8_lossy(&text).into_owned());
        let content = SITES.content(cx.host, &cx.site.domain).await?;
        let is_closed = |text: &&str| !includes_sites(text) && include::with_line(text, &content).is_none();
        if let Some(text) = main.as_deref().filter(is_closed) {
            return Ok(Standing::Unfit(Box::new(without_folder(text, &content))));
        }
        let mut texts = content.foreign;
        texts.extend(main.map(|text| (MAIN.to_owned(), text)));
        for name in cx.host.list(Path::new(ENABLED)).await? {
            let path = Path::new(ENABLED).join(&name);
            // A link that leads nowhere is nginx's to complain about.
            if let Ok(Some(text)) = cx.host.read(&path).await {
                texts.push((
                    path.display().to_string(),
                    String::from_utf8_lossy(&text).into_owned(),
                ));
            }
        }
        let named =
            |text: &str| server_names(text).any(|name| name.eq_ignore_ascii_case(cx.site.domain.as_str()));
        if let Some((file, _)) = texts.iter().find(|(_, text)| named(text)) {
            return Ok(Standing::Unfit(Box::new(unfit_domain(
                cx.site,
                &plain_line(file),
            ))));
        }
        let others: Vec<String> = texts
            .iter()
            .flat_map(|(_, text)| server_names(text))
            .map(plain_line)
            .collect();
        Ok(match (content.ours, others.is_empty()) {
            (Some(_), _) => Standing::Ours,
            (None, true) => Standing::Untouched,
            (None, false) => Standing::Beside {
                serves: others.join(", "),
            },
        })
    }

    fn plan(&self, site: &Site) -> Vec<String> {
        vec![
            format!(
                "write {}; other sites stay as they are",
                SITES.file(&site.domain).display()
            ),
            format!(
                "have {MAIN} include {}/*.conf, unless it does; with the site taken away, no more",
                SITES.path
            ),
            format!("have `nginx -t` judge it, then enable, start and reload {UNIT}"),
        ]
    }

    async fn write(&self, cx: &ActCx<'_>) -> Result<Written, StepError> {
        let shape = shape(cx.host, cx.look.site).await?;
        let limit = route::limit(&cx.look);
        let ours = render(cx.look.site, shape, limit.as_ref());
        let content = SITES.content(cx.host, &cx.look.site.domain).await?;
        let mut written = SITES.place(cx, &ours).await?;
        // Ours was never judged where there is nothing of it to go back to.
        let was_taken_up = written.before.iter().any(|(_, text)| text.is_some());
        if let Some(before) = include::put(cx, &content, was_taken_up).await? {
            written.before.push((PathBuf::from(MAIN), Some(before)));
        }
        Ok(written)
    }

    async fn validate(&self, cx: &ActCx<'_>) -> Result<(), StepError> {
        let output = cx.host.run(Command::new("nginx", &["-t"])).await?;
        let said = [output.stdout.as_str(), &output.stderr].concat();
        let twice = said.contains(&format!("conflicting server name \"{}\"", cx.look.site.domain));
        if output.ok() && !twice {
            return Ok(());
        }
        let saw = if twice {
            "nginx serves the domain from another file already, and would ignore ours".to_owned()
        } else {
            format!("`nginx -t` ended with exit code {}", output.code)
        };
        Err(StepError::last(
            Advice::new(
                "NGINX_INVALID",
                saw,
                "a configuration that nginx accepts with our site in it",
                "our part was taken out again; run `nginx -t`, mend what it names (the rest of the configuration is not ours), then deploy again",
            )
            .with_evidence(output.last_lines(8)),
        ))
    }

    async fn reload(&self, cx: &ActCx<'_>) -> Result<(), StepError> {
        take_up(cx, UNIT, "NGINX_RELOAD_FAILED").await
    }

    async fn keeps(&self, cx: &Cx<'_>) -> Result<bool, StepError> {
        let unit = cx.host.unit(UNIT).await?;
        let limit = route::limit(cx);
        let wanted = render(cx.site, shape(cx.host, cx.site).await?, limit.as_ref());
        let main = cx.host.read(Path::new(MAIN)).await?.unwrap_or_default();
        let is_read = includes_sites(&String::from_utf8_lossy(&main));
        Ok(is_read && unit.enabled && unit.active && SITES.holds(cx.host, &cx.site.domain, &wanted).await?)
    }

    fn plan_out(&self, site: &Site) -> Vec<String> {
        vec![
            format!("remove {}", SITES.file(&site.domain).display()),
            format!("take the line that reads it out of {MAIN}, if it is ours and no other site needs it"),
            format!("reload {UNIT}"),
        ]
    }

    async fn left(&self, cx: &Cx<'_>) -> Result<Option<String>, StepError> {
        let content = SITES.content(cx.host, &cx.site.domain).await?;
        let ours = SITES.ours(&content, &cx.site.domain);
        if let Some(file) = ours.first() {
            return Ok(Some(format!("{} is there", file.display())));
        }
        let line = include::without_line(cx).await?;
        Ok(line.map(|_| format!("our line is in {MAIN}")))
    }

    async fn take_out(&self, cx: &ActCx<'_>) -> Result<(), StepError> {
        let domain = &cx.look.site.domain;
        let content = SITES.content(cx.host, domain).await?;
        for file in SITES.ours(&content, domain) {
            cx.host.remove(&file).await?;
        }
        if let Some(main) = include::without_line(&cx.look).await? {
            cx.host.rewrite(Path::new(MAIN), main.as_bytes()).await?;
        }
        if cx.host.unit(UNIT).await?.active {
            let then = "run `uninstall` again";
            told(cx, UNIT, &["reload", UNIT], "NGINX_RELOAD_FAILED", then).await?;
        }
        Ok(())
    }
}

async fn shape(host: &dyn Look, site: &Site) -> Result<Shape, HostError> {
    Ok(Shape {
        ipv6: host.read(Path::new(HAS_IPV6)).await?.is_some(),
        certificate: host.read(&certbot::chain(site)).await?.is_some(),
    })
}

/// Whether a site of somebody else shows something out of a folder.
pub(super) async fn shows(host: &dyn Look, folder: &str) -> Result<bool, HostError> {
    let mut files = vec![PathBuf::from(MAIN)];
    for place in [SITES.path, ENABLED].map(Path::new) {
        files.extend(host.list(place).await?.into_iter().map(|name| place.join(name)));
    }
    for file in files {
        // A link that leads nowhere is nginx's to complain about.
        if let Ok(Some(text)) = host.read(&file).await
            && !text.starts_with(MARK.as_bytes())
            && String::from_utf8_lossy(&text).contains(folder)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
}

/// Whether the main file reads the folder that ours goes into. A path that does not begin at the root begins at its own
/// folder.
fn includes_sites(main: &str) -> bool {
    let own = Path::new(MAIN).parent().unwrap_or(Path::new("/"));
    lines(main)
        .flat_map(|line| line.split([';', '{', '}']))
        .filter_map(|directive| directive.trim().strip_prefix("include"))
        .filter(|rest| rest.starts_with([' ', '\t']))
        .map(|path| own.join(path.trim().trim_matches(['"', '\''])))
        .any(|path| {
            path.parent() == Some(Path::new(SITES.path)) && (path.ends_with("*.conf") || path.ends_with("*"))
        })
}

/// The names of the sites in a file; one that stands for any name is nobody's.
fn server_names(text: &str) -> impl Iterator<Item = &str> {
    lines(text)
        .filter_map(|line| line.strip_prefix("server_name"))
        .flat_map(|names| names.split([' ', '\t', ';', '}']))
        .filter(|name| !matches!(*name, "" | "_" | "localhost" | "\"\""))
}

/// Why our line cannot be put into a main file that does not read the folder.
fn without_folder(main: &str, content: &Content) -> Advice {
    let line = format!("`include {}/*.conf;`", SITES.path);
    let saw = format!(
        "a {MAIN} ({} lines) that does not include {}/*.conf",
        main.lines().count(),
        SITES.path
    );
    let (saw, wanted, fix) = if content.foreign.is_empty() {
        (
            saw,
            format!("{line} in its http block, whose end cannot be told"),
            format!("add that line to the http block of {MAIN}, then deploy again"),
        )
    } else {
        let names = content.foreign.iter().map(|(name, _)| plain_line(name));
        let names = names.collect::<Vec<_>>().join(", ");
        (
            format!("{saw}, and files of others there: {names}"),
            format!("{line} in its http block, and no file there that nginx is not to read"),
            format!(
                "move {names} out of {}, or add that line to the http block of {MAIN} if nginx may read them; then deploy again",
                SITES.path
            ),
        )
    };
    Advice::new("NGINX_WITHOUT_CONF_D", saw, wanted, fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f55_the_sites_of_a_file_are_told_by_their_names() {
        let text = "server {\n  # server_name old.example.com;\n  server_name a.example.com  b.example.com;\n}\nserver { \n server_name _;\n}\n";
        assert_eq!(
            server_names(text).collect::<Vec<_>>(),
            ["a.example.com", "b.example.com"]
        );
    }

    #[test]
    fn a_main_file_is_asked_whether_it_reads_our_folder() {
        for read in [
            "http {\n\tinclude /etc/nginx/conf.d/*.conf;\n}",
            "http {\n include conf.d/*.conf; # sites\n}",
            "http { include mime.types; include \"conf.d/*\"; }",
        ] {
            assert!(includes_sites(read), "{read}");
        }
        for other in [
            "http {\n\t# include /etc/nginx/conf.d/*.conf;\n}",
            "stream {\n include /etc/nginx/stream.conf.d/*.conf;\n}",
            "stream {\n include stream.conf.d/*.conf;\n}",
            "http {\n include /opt/conf.d/*.conf;\n include conf.d/shop.conf;\n}",
        ] {
            assert!(!includes_sites(other), "{other}");
        }
    }

    #[test]
    fn where_others_files_wait_in_the_folder_they_are_named() {
        let alone = without_folder("http\n{\n}\n", &Content::default());
        assert!(alone.wanted.contains("cannot be told"), "{alone}");
        let content = Content {
            foreign: vec![
                ("shop.conf".into(), String::new()),
                ("blog.conf".into(), String::new()),
            ],
            ..Content::default()
        };
        let told = without_folder("http {\n}\n", &content);
        assert!(
            told.saw.ends_with("files of others there: shop.conf, blog.conf")
                && told.fix.contains("move shop.conf, blog.conf"),
            "{told}"
        );
        assert!(!told.wanted.contains("cannot be told"), "{told}");
    }
}
